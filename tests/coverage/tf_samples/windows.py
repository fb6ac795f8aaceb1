"""Convolutions, poolings, normalisations, patches, and space moved into channels or batch."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import B, f, i, op, u

X = f(B, 9, 10, 4)
ROOM = f(B, 5, 6, 7, 3)

for _padding in ("SAME", "VALID"):
    for _stride in (1, 2):
        for _kernel in (3, 2):
            op("Conv2D", input=X, filter=f(_kernel, _kernel, 4, 5), strides=[1, _stride, _stride, 1], padding=_padding)
            op("DepthwiseConv2dNative", input=X, filter=f(_kernel, _kernel, 4, 2), strides=[1, _stride, _stride, 1],
               padding=_padding)  # fmt: skip
            op("Conv3D", input=ROOM, filter=f(_kernel, _kernel, 2, 3, 4), strides=[1, _stride, _stride, _stride, 1],
               padding=_padding)  # fmt: skip
            for _name in ("MaxPool", "AvgPool"):
                _key = "input" if _name == "MaxPool" else "value"
                op(_name, **{_key: X}, ksize=[1, _kernel, _kernel, 1], strides=[1, _stride, _stride, 1],
                   padding=_padding)  # fmt: skip
                op(f"{_name}3D", input=ROOM, ksize=[1, _kernel, _kernel, _kernel, 1],
                   strides=[1, _stride, _stride, _stride, 1], padding=_padding)  # fmt: skip
            op("MaxPoolV2", input=X, ksize=[1, _kernel, _kernel, 1], strides=[1, _stride, _stride, 1], padding=_padding)
            op("MaxPoolWithArgmax", input=X, ksize=[1, _kernel, _kernel, 1], strides=[1, _stride, _stride, 1],
               padding=_padding, include_batch_in_index=_stride == 2)  # fmt: skip
            op("Dilation2D", input=X, filter=f(_kernel, _kernel, 4), strides=[1, _stride, _stride, 1],
               rates=[1, 1, 1, 1], padding=_padding)  # fmt: skip
            for _rate in (1, 2):
                op("ExtractImagePatches", images=X, ksizes=[1, _kernel, _kernel, 1], strides=[1, _stride, _stride, 1],
                   rates=[1, _rate, _rate, 1], padding=_padding)  # fmt: skip
            op("ExtractVolumePatches", input=ROOM, ksizes=[1, 2, _kernel, 2, 1],
               strides=[1, _stride, _stride, _stride, 1], padding=_padding)  # fmt: skip
op("Dilation2D", input=X, filter=f(3, 2, 4), strides=[1, 1, 1, 1], rates=[1, 2, 2, 1], padding="SAME")
op("Conv2D", input=X, filter=f(3, 3, 4, 5), strides=[1, 1, 1, 1], padding="SAME", dilations=[1, 2, 2, 1])
op("Conv2D", input=X, filter=f(3, 3, 2, 6), strides=[1, 1, 1, 1], padding="SAME")
op("Conv2D", input=X, filter=f(3, 3, 4, 5), strides=[1, 1, 1, 1], padding="EXPLICIT",
   explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0])  # fmt: skip
op("DepthwiseConv2dNative", input=X, filter=f(3, 3, 4, 1), strides=[1, 1, 1, 1], padding="EXPLICIT",
   explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0])  # fmt: skip
op("MaxPool", input=X, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="EXPLICIT",
   explicit_paddings=[0, 0, 1, 1, 0, 1, 0, 0])  # fmt: skip
op("MaxPool", input=f(B, 5, 6, 8), ksize=[1, 1, 1, 4], strides=[1, 1, 1, 4], padding="VALID")
for _padding, _sizes in (("SAME", (17, 20)), ("SAME", (18, 19)), ("VALID", (20, 21)), ("VALID", (19, 22))):
    op("Conv2DBackpropInput", input_sizes=[2, *_sizes, 4], filter=f(3, 3, 4, 5), out_backprop=f(2, 9, 10, 5),
       strides=[1, 2, 2, 1], padding=_padding)  # fmt: skip
op("Conv3DBackpropInputV2", input_sizes=[2, 9, 10, 11, 3], filter=f(2, 2, 2, 3, 4), out_backprop=f(2, 5, 5, 6, 4),
   strides=[1, 2, 2, 2, 1], padding="SAME")  # fmt: skip
op("DepthwiseConv2dNativeBackpropInput", input_sizes=[2, 9, 10, 4], filter=f(3, 3, 4, 2), out_backprop=f(2, 5, 5, 8),
   strides=[1, 2, 2, 1], padding="SAME")  # fmt: skip
op("Conv", input=X, filter=f(3, 3, 4, 5), strides=[1, 1, 1, 1], padding="SAME")
op("Conv", input=ROOM, filter=f(3, 2, 2, 3, 4), strides=[1, 1, 2, 1, 1], padding="VALID")
# One image: of several, TensorFlow's own kernels pad all but the first wrongly (2.21, against Pad and Conv2D).
ONE = f(1, 9, 10, 4)
for _mode in ("REFLECT", "SYMMETRIC"):
    op("FusedPadConv2D", input=ONE, paddings=[[0, 0], [1, 2], [2, 0], [0, 0]], filter=f(3, 3, 4, 5), mode=_mode,
       strides=[1, 1, 1, 1], padding="VALID")  # fmt: skip
    op("FusedResizeAndPadConv2D", input=ONE, size=[13, 8], paddings=[[0, 0], [1, 2], [2, 0], [0, 0]],
       filter=f(3, 3, 4, 5), mode=_mode, strides=[1, 1, 1, 1], padding="VALID")  # fmt: skip
op("LRN", input=f(B, 4, 5, 12))
op("LRN", input=f(B, 4, 5, 12), depth_radius=2, bias=2.0, alpha=0.3, beta=0.75)
for _name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
    op(_name, lambda y, *rest: y, x=X, scale=f(4), offset=f(4), mean=f(4), variance=u(4, low=0.2), is_training=False)
op("FusedBatchNormV3", lambda y, *rest: y, x=f(B, 4, 5, 6), scale=f(4), offset=f(4), mean=f(4), variance=u(4, low=0.2),
   is_training=False, data_format="NCHW", epsilon=1e-3)  # fmt: skip
op("DepthToSpace", input=f(B, 3, 4, 12), block_size=2)
op("SpaceToDepth", input=f(B, 4, 6, 3), block_size=2)
op("SpaceToBatchND", input=f(B, 7, 6, 3), block_shape=[2, 3], paddings=[[0, 1], [1, 2]])
op("BatchToSpaceND", input=f(12, 3, 4, 2), block_shape=[2, 3], crops=[[1, 0], [0, 2]])
op("SpaceToBatch", input=f(B, 7, 6, 3), paddings=[[0, 1], [0, 0]], block_size=2)
op("BatchToSpace", input=f(8, 3, 4, 2), crops=[[1, 0], [0, 1]], block_size=2)
op("MaxPool", input=i(B, 8, 8, 3), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
op("Mean", input=X, axis=np.array([1, 2]))
