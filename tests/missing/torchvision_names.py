"""The public names of torchvision, by the place that the substitution gives them."""

from __future__ import annotations

NAMES = {
    place: set(names.split())
    for place, names in {
        "datasets": """
            CIFAR10 CIFAR100 CLEVRClassification CREStereo Caltech101 Caltech256 CarlaStereo CelebA Cityscapes
            CocoCaptions CocoDetection Country211 DTD DatasetFolder EMNIST ETH3DStereo EuroSAT FER2013
            FGVCAircraft FakeData FallingThingsStereo FashionMNIST Flickr30k Flickr8k Flowers102 FlyingChairs
            FlyingThings3D Food101 GTSRB HD1K HMDB51 INaturalist ImageFolder ImageNet Imagenette InStereo2k
            KMNIST Kinetics Kitti Kitti2012Stereo Kitti2015Stereo KittiFlow LFWPairs LFWPeople LSUN LSUNClass
            MNIST Middlebury2014Stereo MovingMNIST Omniglot OxfordIIITPet PCAM PhotoTour Places365 QMNIST
            RenderedSST2 SBDataset SBU SEMEION STL10 SUN397 SVHN SceneFlowStereo Sintel SintelStereo
            StanfordCars UCF101 USPS VOCDetection VOCSegmentation VisionDataset WIDERFace
            wrap_dataset_for_transforms_v2""",
        "transforms": """
            AugMix AutoAugment AutoAugmentPolicy CenterCrop ColorJitter Compose ConvertImageDtype
            ElasticTransform FiveCrop GaussianBlur Grayscale InterpolationMode Lambda LinearTransformation
            Normalize PILToTensor Pad RandAugment RandomAdjustSharpness RandomAffine RandomApply
            RandomAutocontrast RandomChoice RandomCrop RandomEqualize RandomErasing RandomGrayscale
            RandomHorizontalFlip RandomInvert RandomOrder RandomPerspective RandomPosterize RandomResizedCrop
            RandomRotation RandomSolarize RandomVerticalFlip Resize TenCrop ToPILImage ToTensor
            TrivialAugmentWide functional v2""",
        "transforms.functional": """
            adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation adjust_sharpness affine
            autocontrast center_crop convert_image_dtype crop elastic_transform equalize erase five_crop
            gaussian_blur get_dimensions get_image_num_channels get_image_size hflip invert normalize pad
            perspective pil_to_tensor posterize resize resized_crop rgb_to_grayscale rotate solarize ten_crop
            to_grayscale to_pil_image to_tensor vflip""",
        "transforms.v2": """
            AugMix AutoAugment AutoAugmentPolicy CenterCrop ClampBoundingBoxes ClampKeyPoints ColorJitter
            Compose ConvertBoundingBoxFormat ConvertImageDtype CutMix ElasticTransform FiveCrop GaussianBlur
            GaussianNoise Grayscale Identity InterpolationMode JPEG Lambda LinearTransformation MixUp Normalize
            PILToTensor Pad RGB RandAugment RandomAdjustSharpness RandomAffine RandomApply RandomAutocontrast
            RandomChannelPermutation RandomChoice RandomCrop RandomEqualize RandomErasing RandomGrayscale
            RandomHorizontalFlip RandomInvert RandomIoUCrop RandomOrder RandomPerspective
            RandomPhotometricDistort RandomPosterize RandomResize RandomResizedCrop RandomRotation
            RandomShortestSize RandomSolarize RandomVerticalFlip RandomZoomOut Resize SanitizeBoundingBoxes
            ScaleJitter TenCrop ToDtype ToImage ToPILImage ToPureTensor ToTensor Transform TrivialAugmentWide
            UniformTemporalSubsample functional""",
        "models": """
            AlexNet AlexNet_Weights ConvNeXt ConvNeXt_Base_Weights ConvNeXt_Large_Weights ConvNeXt_Small_Weights
            ConvNeXt_Tiny_Weights DenseNet DenseNet121_Weights DenseNet161_Weights DenseNet169_Weights
            DenseNet201_Weights EfficientNet EfficientNet_B0_Weights EfficientNet_B7_Weights
            EfficientNet_V2_S_Weights GoogLeNet GoogLeNetOutputs GoogLeNet_Weights Inception3 InceptionOutputs
            Inception_V3_Weights MNASNet MNASNet0_5_Weights MNASNet1_3_Weights MaxVit MaxVit_T_Weights
            MobileNetV2 MobileNetV3 MobileNet_V2_Weights MobileNet_V3_Large_Weights MobileNet_V3_Small_Weights
            RegNet RegNet_X_16GF_Weights RegNet_Y_400MF_Weights ResNeXt101_32X8D_Weights ResNeXt50_32X4D_Weights
            ResNet ResNet101_Weights ResNet152_Weights ResNet18_Weights ResNet34_Weights ResNet50_Weights
            ShuffleNetV2 ShuffleNet_V2_X0_5_Weights ShuffleNet_V2_X2_0_Weights SqueezeNet SqueezeNet1_0_Weights
            SqueezeNet1_1_Weights SwinTransformer Swin_B_Weights Swin_V2_T_Weights VGG VGG11_BN_Weights
            VGG11_Weights VGG16_Weights VGG19_Weights ViT_B_16_Weights ViT_H_14_Weights VisionTransformer
            Weights WeightsEnum Wide_ResNet101_2_Weights Wide_ResNet50_2_Weights alexnet convnext_base
            convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
            detection efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4
            efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m
            efficientnet_v2_s get_model get_model_builder get_model_weights get_weight googlenet inception_v3
            list_models maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large
            mobilenet_v3_small optical_flow quantization regnet_x_16gf regnet_x_1_6gf regnet_x_32gf
            regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf
            regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101
            resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d segmentation
            shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0
            squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16
            vgg16_bn vgg19 vgg19_bn video vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2
            wide_resnet50_2""",
        "ops": """
            Conv2dNormActivation Conv3dNormActivation DeformConv2d DropBlock2d DropBlock3d FeaturePyramidNetwork
            FrozenBatchNorm2d MLP MultiScaleRoIAlign PSRoIAlign PSRoIPool Permute RoIAlign RoIPool
            SqueezeExcitation StochasticDepth batched_nms box_area box_convert box_iou clip_boxes_to_image
            complete_box_iou complete_box_iou_loss deform_conv2d distance_box_iou distance_box_iou_loss
            drop_block2d drop_block3d generalized_box_iou generalized_box_iou_loss masks_to_boxes misc nms
            ps_roi_align ps_roi_pool remove_small_boxes roi_align roi_pool sigmoid_focal_loss stochastic_depth""",
        "io": """
            ImageReadMode VideoReader decode_avif decode_gif decode_heic decode_image decode_jpeg decode_png
            decode_webp encode_jpeg encode_png read_file read_image read_video read_video_timestamps write_file
            write_jpeg write_png write_video""",
        "utils": """
            draw_bounding_boxes draw_keypoints draw_segmentation_masks flow_to_image make_grid save_image""",
    }.items()
}
