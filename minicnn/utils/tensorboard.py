"""Logs for TensorBoard, with PyTorch's class: `SummaryWriter`.

The files are written by the package tensorboardX: `pip install "minicnn[tensorboard]"`. To look at them, install
TensorBoard and run `tensorboard --logdir runs`.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn_kernels.arrays import host
from minicnn_kernels.geometry import shown

from ..nn import Module
from ..tensor import Tensor

__all__ = ["SummaryWriter"]

_FILES = itertools.count()  # numbers for the names of files


class SummaryWriter:
    """Writes numbers, images, histograms and more into a folder that TensorBoard shows.

    Every method takes a tag, the name under which TensorBoard shows the entry ("loss/train": a slash makes groups),
    the step that it belongs to, `global_step`, and the time, `walltime`, in seconds since 1970 (default: now). Values
    may be tensors, on any device and with gradients, arrays or numbers.

    Args:
        log_dir: the folder; None: a new one, runs/<date>_<time>_<machine><comment>.
        comment: the end of that folder's name.
        purge_step: TensorBoard hides earlier entries from this step on, as after a crash.
        max_queue: entries that wait in memory before they are written.
        flush_secs: seconds after which they are written in any case.
        filename_suffix: the end of the files' names.

    Raises:
        ModuleNotFoundError: tensorboardX is not installed.

    >>> import tempfile
    >>> from minicnn.utils.tensorboard import SummaryWriter
    >>> with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:  # doctest: +SKIP
    ...     writer.add_scalar("loss/train", minicnn.tensor(0.5), global_step=1)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        try:
            import tensorboardX
        except ImportError as error:
            raise ModuleNotFoundError(
                'SummaryWriter: needs the package tensorboardX; pip install "minicnn[tensorboard]". Without it, '
                "`minicnn train` leaves metrics.csv and curves.png",
                name="tensorboardX",
            ) from error
        self._suffix = filename_suffix
        folder = None if log_dir is None else os.fspath(log_dir)
        self._writer = tensorboardX.SummaryWriter(
            folder, comment, purge_step, max_queue, flush_secs, self._unique_suffix()
        )
        self.log_dir = str(self._writer.logdir)

    def _unique_suffix(self) -> str:
        """The end of a file's name: tensorboardX's names differ by the second, and a second file would replace one."""
        return f".{os.getpid()}.{next(_FILES)}{self._suffix}"

    def get_logdir(self) -> str:
        """The folder of the files."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """One number, for a curve over the steps; kept in float32. The last two arguments change nothing here."""
        self._writer.add_scalar(tag, _number("add_scalar", tag, scalar_value), global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Several numbers by their names, for curves in one chart."""
        numbers = {name: _number("add_scalars", name, value) for name, value in tag_scalar_dict.items()}
        self._writer.add_scalars(main_tag, numbers, global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How often values of each size occur in an array of any shape.

        Raises:
            ValueError: there are no values, or some are NaN or infinite.
        """
        array = np.asarray(_plain(values), np.float64).ravel()
        if not array.size or not np.isfinite(array).all():
            what = f"{(~np.isfinite(array)).sum()} of them NaN or infinite" if array.size else "none"
            raise ValueError(f"add_histogram: {tag!r} needs finite values; got {array.size}, {what}")
        self._writer.add_histogram(tag, array, global_step, bins, walltime, max_bins)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,
        max: float,
        num: int,
        sum: float,
        sum_squares: float,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """A histogram that is already counted: the upper limit of each bin, and how many values are in it."""
        bins = (np.asarray(_plain(one)).tolist() for one in (bucket_limits, bucket_counts))
        self._writer.add_histogram_raw(tag, min, max, num, sum, sum_squares, *bins, global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """One image, uint8 or floating point in 0..1; `dataformats` names its axes: "CHW", "HWC" or "HW"."""
        self._writer.add_image(tag, _plain(img_tensor), global_step, walltime, dataformats)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """A batch of images, which become one, side by side."""
        self._writer.add_images(tag, np.asarray(_plain(img_tensor)), global_step, walltime, dataformats)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: list[str] | None = None,
    ) -> None:
        """An image with boxes (N, 4), each (xmin, ymin, xmax, ymax) in pixels."""
        given = (tag, _plain(img_tensor), np.asarray(_plain(box_tensor)), global_step, walltime, dataformats, labels)
        self._writer.add_image_with_boxes(*given, rescale=rescale)

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """A figure of Matplotlib, or a list of figures, as an image; `close` closes figures made by pyplot."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figures = figure if isinstance(figure, list) else [figure]
        images = []
        for one in figures:
            canvas = FigureCanvasAgg(one)
            canvas.draw()
            images.append(np.asarray(canvas.buffer_rgba())[..., :3].transpose(2, 0, 1))  # (H, W, 4) -> (3, H, W)
            if close:
                _close(one)
        if isinstance(figure, list):
            self.add_images(tag, np.stack(images), global_step, walltime)
        else:
            self.add_image(tag, images[0], global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """A text; TensorBoard reads it as Markdown."""
        self._writer.add_text(tag, text_string, global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Precision against recall of yes or no: the truth, 0 or 1, and the predicted probability, each (N,)."""
        truth, said = (np.asarray(_plain(one)) for one in (labels, predictions))
        self._writer.add_pr_curve(tag, truth, said, global_step, num_thresholds, _plain(weights), walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Such a curve that is already counted, at each threshold."""
        counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
        curve = [np.asarray(_plain(one)) for one in (*counts, precision, recall)]
        self._writer.add_pr_curve_raw(tag, *curve, global_step, num_thresholds, _plain(weights), walltime)

    def add_embedding(
        self,
        mat: Any,
        metadata: list[Any] | None = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = "default",
        metadata_header: list[str] | None = None,
    ) -> None:
        """Points for TensorBoard's projector: (N, D), with a label and an image (N, C, H, W) each.

        Images that are not square become so, with black borders: the projector shows squares.
        """
        images = None if label_img is None else _squares(np.asarray(_plain(label_img)))
        self._writer.add_embedding(np.asarray(_plain(mat)), _plain(metadata), images, global_step, tag, metadata_header)

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """The settings of a training and what came of it, for TensorBoard's table of trainings.

        Args:
            hparam_dict: settings: numbers, texts, bools or None.
            metric_dict: results by their tags.
            hparam_domain_discrete: the values that a setting may have; it changes nothing here.
            run_name: the folder of this entry, inside `log_dir`; None: the time.
            global_step: the step of the results.

        Raises:
            TypeError: the arguments are not dictionaries, or a setting is of another kind.
        """
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("add_hparams: hparam_dict and metric_dict should be dictionaries")
        settings = {name: _setting(name, value) for name, value in hparam_dict.items()}
        numbers = {name: _number("add_hparams", name, value) for name, value in metric_dict.items()}
        from tensorboardX.summary import hparams

        folder = os.path.join(self.log_dir, run_name or str(time.time()))
        with SummaryWriter(folder, filename_suffix=self._suffix) as writer:
            for part in hparams(settings, numbers):
                writer._writer._get_file_writer().add_summary(part)
            for name, number in numbers.items():
                writer.add_scalar(name, number, global_step)

    def add_graph(
        self, model: Module, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """The operations of a net, in the boxes of their modules: the net runs once on `input_to_model`.

        It runs in evaluation mode; then it is as it was, and so are the random numbers.

        Args:
            model: the net.
            input_to_model: a tensor, or a tuple or list of them for a net with several inputs.
            verbose: print the operations.
            use_strict_trace: changes nothing here.
        """
        from .tensorboard_graph import graph_of

        graph = graph_of(model, input_to_model)
        if verbose:
            print(graph)
        self._writer._get_file_writer().add_onnx_graph(graph)  # which takes any graph

    def add_custom_scalars(self, layout: dict[str, dict[str, list[Any]]]) -> None:
        """Charts of several curves: {group: {chart: ["Multiline", [tag, ...]]}}; once for a folder."""
        self._writer.add_custom_scalars(layout)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """One chart of several curves; for more of them, `add_custom_scalars`."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """One chart of a curve between two others: the tags of the curve, of the lower limit, of the upper one."""
        if len(tags) != 3:
            raise ValueError(f"add_custom_scalars_marginchart: takes three tags, got {len(tags)}")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def flush(self) -> None:
        """Write what waits to the disk; when this returns, a reader finds it there."""
        self._writer._get_file_writer()  # opens a new file after `close`
        for file in self._writer.all_writers.values():
            # tensorboardX's own flush passes over what its thread has still to write: end the thread, then start anew
            writer = file.event_writer
            writer._worker.stop()
            writer._ev_writer.flush()
            writer._worker = type(writer._worker)(writer._event_queue, writer._ev_writer, writer._flush_secs)
            writer._worker.start()

    def close(self) -> None:
        """Write what waits, and close the files; a later entry opens a new one."""
        self._writer.close()
        self._writer._filename_suffix = self._unique_suffix()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _plain(value: Any) -> Any:
    """Tensors as NumPy arrays, also those in a list or tuple."""
    if isinstance(value, Tensor):
        return host(value.detach().array)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _number(op: str, tag: str, value: Any) -> float:
    """One number."""
    array = np.asarray(_plain(value))
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"{op}: {tag!r} should be one number, got {shown(value)}")
    return float(array.reshape(()))


def _setting(name: str, value: Any) -> Any:
    """A setting as a bool, text, number or None."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    return _number("add_hparams", name, value)


def _squares(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) in the middle of black squares."""
    height, width = images.shape[2:]
    down, right = max(width - height, 0), max(height - width, 0)
    return np.pad(images, ((0, 0), (0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2)))


def _close(figure: Any) -> None:
    """Close a figure that pyplot knows; others need no closing."""
    import sys

    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close(figure)
