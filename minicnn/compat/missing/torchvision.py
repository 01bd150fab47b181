"""The names of torchvision and torchsummary that are missing. A name that minicnn gets is removed from its row."""

from __future__ import annotations

from .rows import Gap

_FILES = (
    "minicnn does not have this dataset; there are: {there}. Read its files in a minicnn.utils.data.Dataset of "
    "your own, with __len__ and __getitem__"
)
_NET = (
    "minicnn does not have this net; minicnn.models.list_models() lists those there are. Build it from the layers of "
    "minicnn.nn: if its submodules have torchvision's names, minicnn.models.load_weights loads torchvision's files"
)
_WEIGHTS = (
    "minicnn does not have this net, and lists no weights for it; minicnn.models.load_weights(model, url) fetches and "
    "loads the weights of any net that fits"
)
_TASK = "minicnn classifies images; there are no nets for detection, segmentation or video"
_FILE = "read an image with Pillow, and make it a tensor with minicnn.transforms.PILToTensor"
_SAVE = "write images with minicnn.utils.save_image, or with Pillow: PIL.Image.fromarray(x.permute(1, 2, 0).numpy())"
_VIDEO = "minicnn does not read or write video; take its frames as images"

ROWS = [
    Gap("datasets", "SEMEION Omniglot Caltech101 "
        "Caltech256 CelebA Cityscapes CLEVRClassification CocoCaptions CocoDetection DTD CREStereo CarlaStereo "
        "ETH3DStereo FallingThingsStereo InStereo2k Kitti2012Stereo Kitti2015Stereo Middlebury2014Stereo "
        "SceneFlowStereo SintelStereo Country211 EuroSAT FER2013 FGVCAircraft Flickr8k Flickr30k Flowers102 "
        "FlyingChairs FlyingThings3D Food101 GTSRB HD1K HMDB51 INaturalist ImageNet Imagenette Kinetics "
        "Kinetics400 Kitti KittiFlow LFWPairs LFWPeople LSUN LSUNClass MovingMNIST OxfordIIITPet PCAM PhotoTour "
        "Places365 RenderedSST2 SBDataset SBU Sintel StanfordCars SUN397 UCF101 VOCDetection VOCSegmentation "
        "WIDERFace", _FILES),
    Gap("datasets", "wrap_dataset_for_transforms_v2", "leave the call out: the targets stay as the dataset gives "
        "them"),
    Gap("datasets", "mnist_ utils video_utils samplers", _FILES),
    Gap("transforms", "functional_tensor functional_pil", "its functions are in minicnn.transforms.functional"),
    Gap("transforms.v2", "ClampBoundingBoxes ClampKeyPoints ConvertBoundingBoxFormat RandomIoUCrop "
        "SanitizeBoundingBoxes SanitizeKeyPoints SetClampingMode UniformTemporalSubsample check_type "
        "get_bounding_boxes get_keypoints has_all has_any query_chw query_size",
        "minicnn transforms images, and no boxes, points, masks or videos; other parts of a sample stay as they are"),
    Gap("transforms.v2.functional", "*_bounding_boxes *_keypoints *_mask *_video *_num_frames* clamp_* sanitize_* "
        "uniform_temporal_subsample convert_bounding_box_format is_pure_tensor register_kernel",
        "minicnn transforms images, and no boxes, points, masks or videos"),
    Gap("transforms.v2.functional", "adjust_*_image *_crop_image *_flip_image get_*_image *_channels_image "
        "affine_image autocontrast_image crop_image elastic_image equalize_image erase_image gaussian_*_image "
        "invert_image jpeg_image normalize_image pad_image perspective_image posterize_image resize_image "
        "rotate_image solarize_image rgb_to_grayscale_image grayscale_to_rgb_image to_dtype_image",
        "leave out _image: each function takes PIL images and tensors"),
    Gap("minicnn", "tv_tensors datapoints", "there are no types for boxes, masks and videos; images are tensors "
        "(C, H, W)"),
    Gap("models", "detection segmentation video optical_flow quantization FasterRCNN MaskRCNN RetinaNet", _TASK),
    Gap("models", "ConvNeXt_*_Weights MaxVit_T_Weights RegNet_*_Weights Swin_*_Weights ViT_*_Weights", _WEIGHTS),
    Gap("models", "Weights", "the weights of a net are a member of an enumeration, minicnn.models.WeightsEnum, and "
        "its value is a minicnn.models.published.File"),
    Gap("models", "convnext ConvNeXt convnext_tiny convnext_small convnext_base convnext_large "
        "maxvit MaxVit maxvit_t regnet RegNet regnet_x_400mf regnet_x_800mf "
        "regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf regnet_y_800mf "
        "regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf swin_transformer "
        "SwinTransformer swin_t swin_s swin_b swin_v2_t swin_v2_s swin_v2_b vision_transformer VisionTransformer "
        "vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14", _NET),
    Gap("models", "mobilenet", "take the nets from minicnn.models itself; each version has a file of its own there"),
    # torchvision.ops has the name of minicnn's tensor operations
    Gap("ops", "ps_roi_pool PSRoIPool", "use minicnn.ops.ps_roi_align, which does not round the edges of boxes"),
    Gap("ops", "deform_conv2d DeformConv2d", "the windows of a convolution have a fixed shape here; use "
        "minicnn.nn.Conv2d with dilation"),
    Gap("ops", "Conv3dNormActivation drop_block3d DropBlock3d", "images are 2-d; use "
        "minicnn.nn.Conv2dNormActivation or minicnn.nn.DropBlock2d"),
    Gap("minicnn", "io read_image", _FILE),
    Gap("io", "read_image decode_image decode_jpeg decode_png decode_gif decode_webp decode_avif decode_heic "
        "read_file ImageReadMode image", _FILE),
    Gap("io", "encode_jpeg encode_png write_jpeg write_png write_file", _SAVE),
    Gap("io", "*ideo* Timebase", _VIDEO),
    Gap("minicnn", "set_image_backend get_image_backend set_video_backend get_video_backend "
        "disable_beta_transforms_warning", "images are read with Pillow; leave the call out"),
    Gap("minicnn", "torchsummary", "use minicnn.summary, which prints the table"),
]  # fmt: skip
