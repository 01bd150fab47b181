# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # 13 Seeing inside a net
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/minicnn/minicnn/blob/main/notebooks/13_seeing_inside.ipynb)
#
# **After this notebook you can**
#
# - draw the filters and the maps of a net, and say what a unit looks for,
# - choose between maps that say "which pixels speak for this class", and say why they differ,
# - test such a map, and see when it says nothing about what the net has learned,
# - compare images by the features of a net, and measure what each layer knows.
#
# **It builds on** notebooks 02 (windows), 05 (the tape) and 07 (training). It computes for about a minute; read it in an hour.

# %%
# On Colab, this installs minicnn, with the NumPy that is there. Elsewhere it does nothing.
import importlib.util

if importlib.util.find_spec("minicnn") is None:
    import subprocess
    import sys

    import numpy

    source = "minicnn @ git+https://github.com/minicnn/minicnn"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source, f"numpy=={numpy.__version__}"], check=True)

# %%
import copy

import numpy as np

import minicnn
from minicnn import analysis, explain, models, nn, optim, train, visualize
from minicnn.exercises import check, lesson
from minicnn.nn import functional as F
from minicnn.utils.data import DataLoader, Subset

minicnn.set_num_threads(1)  # the net is small: two threads would mostly wait for each other

# %% [markdown]
# ## 1. A net to look into
#
# LeNet-5 with ReLU, trained for a few seconds. `untrained` is a copy of the net before training. We need it twice.

# %%
minicnn.manual_seed(0)
data = lesson.images("mnist", side=32)
print(data)
few = Subset(data.train, range(min(8000, len(data.train))))
loader = DataLoader(few, batch_size=50, shuffle=True)
test = DataLoader(data.test, batch_size=500)
net = models.LeNet5(activation="relu")
untrained = copy.deepcopy(net)
optimizer = optim.Adam(net.parameters(), lr=0.002)
epochs = 3 if data.real else 12  # the bundled digits are fewer
history = train.train(net, loader, test, optimizer, nn.CrossEntropyLoss(), epochs, progress=False)

# %% [markdown]
# ## 2. The filters
#
# **Predict.** The first layer has six filters of 5x5. Before training they are random numbers. Will you see strokes in them afterwards? Is the change larger or smaller than the start?

# %%
visualize.changed(untrained.features[0].weight, net.features[0].weight)

# %%
start = untrained.features[0].weight
change = (net.features[0].weight - start).norm() / start.norm()
print(f"The change has {change.item():.2f} times the length of the start.")

# %% [markdown]
# All are on one scale. The change is smoother than the start: neighbouring pixels of a digit are alike, so their weights get nearly the same gradient. A filter is the sum of both: a stroke or an edge, with the random start still in it. A short training does not wash it out.
#
# Only the first layer can be read like this, because its input is the image. A filter of the second layer is a table over six maps, not over pixels.
#
# ## 3. The maps of one image
#
# **Predict.** How many maps does each of the two convolutions give, and how large are they? Do they become easier or harder to recognise with depth?

# %%
images, classes = next(iter(test))
one = images[:1]
maps = explain.feature_maps(net, one)
visualize.maps({name: maps[name] for name in ("features.1", "features.2", "features.4", "features.5")}, one)

# %%
lesson.compare(
    ("first convolution", (6, 28, 28), tuple(maps["features.0"].shape[1:])),
    ("first pooling", (6, 14, 14), tuple(maps["features.2"].shape[1:])),
    ("second convolution", (16, 10, 10), tuple(maps["features.3"].shape[1:])),
    ("second pooling", (16, 5, 5), tuple(maps["features.5"].shape[1:])),
)

# %% [markdown]
# Each row has its own scale, from 0 (white) to its largest number (dark); of the sixteen maps of the second convolution, the first ten are drawn. The first maps still look like the digit. In the deeper ones, a dark cell says "such a stroke is about here". *Where* becomes coarse; *what* becomes clear.
#
# ## 4. What excites a unit?
#
# Ask the test images. `top_patches` finds, for a channel, the nine images in which it is strongest, and cuts out what the unit sees of them: its receptive field.
#
# **Predict.** How many pixels across does a unit of the second convolution see? (5x5, then pooling by 2, then 5x5.)

# %%
field = analysis.receptive_field(net.features, (1, 32, 32))
print(field)
unit = analysis.receptive_field(net.features[:4], (1, 32, 32))

# %%
lesson.compare(
    ("the field after the second pooling", 16, field.size[0]),
    ("first pixels 5, then 1 + 1, then 4 * 2 more", 5 + 1 + 4 * 2, unit.size[0]),
)

# %%
labelled = (images, classes)
found = explain.top_patches(net, labelled, "features.4", channel=range(6))
print("dead channels:", [unit.channel for unit in found if unit.values.max() == 0])
visualize.patches(found)

# %% [markdown]
# At the left of each pair are the patches, at the right their way back: the *deconvnet* sets all outputs to 0 but this one, and runs the net backwards, with the same filters. Red: roughly, ink here excites the unit. Blue: ink here weakens it. Where the right half of a pair is empty, the channel is *dead*: it gives 0 for all these images, and its patches mean nothing. That happens to ReLUs.
#
# If the nine patches have a part in common, you may name the unit: "a stroke that rises to the right". If they have none, do not name it. A unit need not mean one thing.
#
# Another way needs no images: start from noise and go uphill. The gradient of the channel's mean, with respect to the *pixels*, says how to change the image.

# %%
minicnn.manual_seed(1)
made = [explain.maximize_activation(net, "features.4", channel, (1, 32, 32), steps=60) for channel in range(6)]
visualize.excited(minicnn.cat(made), [f"channel {k}" for k in range(6)])

# %% [markdown]
# These images fill the whole area with the pattern that the channel likes. They are not digits: nothing asks the image to look real. (Of a dead channel nothing but noise comes: there is no way uphill.) So they show what a unit *can* answer to, and the patches what it *does* answer to on real images. You need both.
#
# ## 5. Which pixels speak for a class?
#
# Six answers for the same images and the true class $k$, with the score $S_k$:
#
# | map | the question that it answers |
# |---|---|
# | saliency | how much does $S_k$ change if this pixel changes a little? |
# | input x gradient | and if the pixel goes to 0, as far as the tangent says? |
# | integrated gradients | what does the pixel add on the way from a black image to this one? |
# | guided backprop | what is the gradient, if on the way back each ReLU also stops what is negative? |
# | Grad-CAM | where are the maps of the last convolution that speak for $k$? |
# | occlusion | how much does $S_k$ fall if a window is covered? |
#
# **Predict.** Two of them never have negative values. Which? Which one is coarse, and how many cells has it?


# %%
def all_maps(model, x, target):
    """Six maps of images (N, 1, 32, 32), each (N, 1, 32, 32)."""
    return {
        "saliency": explain.saliency(model, x, target),
        "input x gradient": explain.input_x_gradient(model, x, target),
        "integrated gradients": explain.integrated_gradients(model, x, target),
        "guided backprop": explain.guided_backprop(model, x, target),
        "Grad-CAM": F.interpolate(explain.grad_cam(model, x, target), x.shape[2:], mode="bilinear"),
        "occlusion": explain.occlusion(model, x, target, window=6, stride=2),
    }


with minicnn.no_grad():
    right = net(images).argmax(1) == classes
some, target = images[right][:40], classes[right][:40]
attributions = all_maps(net, some, target)
five = {name: maps[:5] for name, maps in attributions.items()}
visualize.attribution(some[:5], five, labels=[f"class {int(k)}" for k in target[:5]])

# %%
for name, found in attributions.items():
    print(f"{name:21}", "never negative" if (found >= 0).all() else "both signs")
print("cells of Grad-CAM:", tuple(explain.grad_cam(net, some[:1]).shape[2:]))

# %% [markdown]
# They differ because they answer different questions. Saliency is high on black pixels too: ink there would change the score. Input x gradient and integrated gradients are 0 wherever the pixel is 0, by their formula. Occlusion covers whole windows, so it is blurred. Grad-CAM has the few cells of the last convolution.
#
# One of them keeps a promise that can be checked: the integrated gradients of all pixels add up to $S_k(x) - S_k(0)$, the score of the image less that of a black one.

# %%
with minicnn.no_grad():
    scores = [net(x)[range(len(some)), target] for x in (some, some * 0)]
difference = scores[0] - scores[1]
total = attributions["integrated gradients"].sum((1, 2, 3))
print(
    f"largest gap {(total - difference).abs().max().item():.3f}, of differences around {difference.mean().item():.1f}"
)

# %% [markdown]
# The gap is small. It is not 0, as the integral is a sum of 50 gradients and a ReLU net has kinks.
#
# ## 6. Two tests before you believe a map
#
# **First test: take the pixels away.** If a map is right about what matters to *this net*, then the class should get lost when the 5 % of pixels with the highest values are set to black. As controls, 5 % at random of all pixels, and 5 % at random where there is ink.
#
# **Predict.** Which map finds the pixels that hurt most? And why two controls?


# %%
def still_right(maps, share=0.05):
    """The share of images that keep their class if the pixels with the highest values are set to 0."""
    count = int(share * maps[0].numel())
    highest = maps.flatten(1).argsort(1, descending=True)[:, :count]  # (N, count)
    covered = some.flatten(1).scatter(1, highest, 0.0).reshape(some.shape)
    with minicnn.no_grad():
        return (net(covered).argmax(1) == target).float().mean().item()


kept = {name: still_right(maps) for name, maps in attributions.items()}
kept["any pixels at random"] = still_right(minicnn.rand(*some.shape))
kept["ink at random"] = still_right(minicnn.rand(*some.shape) * (some > 0.5))
for name, share in sorted(kept.items(), key=lambda pair: pair[1]):
    print(f"{name:21} {share:4.0%} keep their class")

# %% [markdown]
# Most pixels are black already, and setting them to black changes nothing. So *any pixels at random* is too easy to beat: a map beats it that does no more than find the ink. Compare with *ink at random*. A map that hurts more has found which ink counts. One that hurts less is not refuted: it also marks black places, where ink would count against the class, and this test cannot see them. (On photographs the colour of the cover is a choice, and it changes the result.)
#
# **Second test: a net that knows nothing.** `untrained` has random weights. A map that explains what a net has *learned* must change completely if the net has learned nothing.
#
# **Predict.** Which maps will look almost the same for the untrained net?

# %%
random_maps = all_maps(untrained, some, target)
visualize.attribution(
    some[:2],
    {f"{name} {kind}": maps[:2] for name in ("guided backprop", "input x gradient", "Grad-CAM")
     for kind, maps in (("trained", attributions[name]), ("untrained", random_maps[name]))},
)  # fmt: skip


# %%
def alike(a, b):
    """The correlation of the absolute values of two maps, mean over the images: 1 for the same map, 0 for none."""
    a, b = a.abs().flatten(1), b.abs().flatten(1)  # (N, pixels)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)).mean().item()


sanity = {name: alike(attributions[name], random_maps[name]) for name in attributions}
for name, value in sorted(sanity.items(), key=lambda pair: -pair[1]):
    print(f"{name:21} trained against untrained: {value:5.2f}")
print("Most alike:", max(sanity, key=sanity.get) + ".", "Least:", min(sanity, key=sanity.get) + ".")

# %% [markdown]
# This is the lesson of the notebook. A map can look convincing, with the digit's outline in it, and the outline comes from the *image*, not from what was learned: a map that is multiplied by the pixels is 0 outside of the strokes for *every* net. J. Adebayo et al. found the same for guided backprop on large nets ("Sanity checks for saliency maps", 2018). So before you write "the net looks at the loop", show that a random net does not look at it.
#
# ## 7. Images as points
#
# What goes into the last linear layer are 84 numbers: the *features* of an image. A point for each image, drawn by t-SNE, which keeps neighbours together.
#
# **Predict.** Digits are simple. Are neighbours by pixels already of the same class? Will features be better?

# %%
pixels = explain.embedding(None, labelled)
features = explain.embedding(net, labelled)
places = {"pixels": explain.tsne(pixels), features.layer: explain.tsne(features)}
visualize.embedding(places, classes.numpy(), data.classes)

# %%
for name, space, model in (("pixels", pixels, None), ("features", features, net)):
    near = explain.nearest(model, space, images, k=5, exclude=range(len(images)))
    same = (near.labels == classes.numpy()[:, None]).mean()
    print(f"{name:9} {same:.1%} of the five nearest have the class of the image")

# %% [markdown]
# t-SNE keeps neighbourhoods, not distances: the size of a group and the gap between two groups mean little. The numbers above are a measurement, the picture is a help for the eye.
#
# The neighbours of a few images; the number is 1 - cosine between the features, so 0 is the same direction. A dashed frame marks another class. Here we ask the images that the net gets wrong, if there are any.

# %%
asked = np.flatnonzero(~right.numpy())[:3]
asked = asked if len(asked) == 3 else np.arange(3)
with minicnn.no_grad():
    print("the net says:", ", ".join(data.classes[k] for k in net(images[asked]).argmax(1).tolist()))
near = explain.nearest(net, features, images[asked], k=6, exclude=asked)
visualize.neighbours(images[asked], images, near, classes.numpy()[asked], data.classes)

# %% [markdown]
# Where many neighbours have another class, you see *why* the net is wrong: for it, the image is one of those. Where they are right and the net is wrong all the same, the neighbourhood does not explain it: the last layer draws its borders by other rules than the nearest neighbours.
#
# ## 8. What does each layer know?
#
# A *linear probe* is a linear classifier on top of what a layer gives, fitted to some images and tested on others. It asks: is the class there, so that a plane can cut it out?
#
# **Predict.** How good is a linear classifier on raw pixels? Is the last layer the best one?

# %%
probes = explain.linear_probes(net, (images[:400], classes[:400]))
accuracy = history[-1].val_top1
visualize.probes(probes, accuracy=accuracy)

# %%
for probe in probes:
    print(f"{probe.layer:13} {probe.features:5} numbers, {probe.test:.0%} right on other images")

# %% [markdown]
# With few images and many numbers, the probe learns its own images by heart (orange, always near 100 %). Only the other images (blue) say something. Layers make the class easier to read out; they do not create information, for all of it is in the pixels.
#
# ## 9. What may be concluded, and what not
#
# | you have | you may say | you may not say |
# |---|---|---|
# | patches of a unit | on these images it answers to this pattern | it "is" the detector of that pattern |
# | a saliency map | the score reacts to these pixels | the net has understood the object |
# | a map that hurts when its pixels are covered | the net uses these pixels | a person would use them |
# | a map that a random net has too | it shows the image | it shows what was learned |
# | groups in t-SNE | near images are alike for the net | far groups are very different |
# | a good probe | the class can be read out linearly here | the net uses what the probe uses |
#
# ## Exercises
#
# Guided backprop changes one line of the ReLU's backward pass. First write the right one.


# %%
def relu_backward(gy, x):
    raise NotImplementedError  # your code


check(relu_backward, "relu_backward")

# %% [markdown]
# The deconvnet takes a value back through max pooling to the place that it came from. That is the gradient of max pooling:


# %%
def max_pool2d_backward(gy, x, kernel, stride, padding):
    raise NotImplementedError  # your code


check(max_pool2d_backward, "max_pool2d_backward")

# %% [markdown]
# More of this kind: `minicnn exercise new receptive_field`, `minicnn exercise new conv_transpose2d`. For paper and pencil: `minicnn exercise quiz fields`. On a run of your own: `minicnn plot patches RUN`, `minicnn plot grad-cam RUN`.
#
# ## In PyTorch this is
#
# | here | in PyTorch |
# |---|---|
# | `explain.feature_maps(net, x)` | `module.register_forward_hook(...)`, or `torchvision.models.feature_extraction.create_feature_extractor` |
# | `explain.saliency`, `input_x_gradient`, `integrated_gradients` | `Saliency`, `InputXGradient`, `IntegratedGradients` of Captum, a package of its own; the numbers are the same |
# | `explain.guided_backprop`, `deconvolution` | Captum's `GuidedBackprop`, `Deconvolution`; they need `nn.ReLU` modules, each used once |
# | `explain.grad_cam(net, x, layer=...)` | Captum's `LayerGradCam(net, layer).attribute(x, target, relu_attributions=True)` |
# | `explain.occlusion(net, x, window=6, stride=2)` | Captum's `Occlusion(net).attribute(x, (1, 6, 6), (1, 2, 2))` |
# | `explain.tsne`, `linear_probes` | `sklearn.manifold.TSNE`, `sklearn.linear_model.LogisticRegression` on features from hooks |
# | `explain.top_patches`, `deconvnet`, `maximize_activation` | nothing in PyTorch itself |
#
# ## Three questions that you can now answer

# %%
lesson.questions(
    (
        "How many pixels across sees a unit after the second pooling of LeNet-5?",
        16,
        field.size[0],
        "5, then 2x2 pooling: 6; then 5x5 in steps of 2: 14; then pooling: 16",
    ),
    (
        "How many cells has Grad-CAM for the last convolution of LeNet-5?",
        100,
        explain.grad_cam(net, some[:1])[0, 0].numel(),
        "10 x 10, for 32 x 32 pixels",
    ),
    (
        "A map shows the outline of the digit. What must you show before you say that the net has learned to look at it?",
        "That the map of a net with random weights does not show it as well, and that covering these pixels costs the "
        "class more than covering others.",
    ),
)
