//! RetinaNets of other frameworks, told from their tensors' names, so that they are refused by name.

/// A framework whose RetinaNets compute otherwise than torchvision's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framework {
    /// `detectron2.modeling.meta_arch.RetinaNet`.
    Detectron2,
    /// mmdetection's `RetinaNet` with a `RetinaHead`.
    Mmdetection,
}

impl Framework {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detectron2 => "detectron2",
            Self::Mmdetection => "mmdetection",
        }
    }

    /// What its RetinaNets compute otherwise than torchvision's, for a message.
    pub(super) fn differences(self) -> &'static str {
        match self {
            Self::Detectron2 => {
                "its pixels are in the order BGR, 0 to 255 and not divided by deviations, its anchors are \
                 ordered by size first, not rounded to whole pixels and at fixed strides, and its classes \
                 have no background"
            }
            Self::Mmdetection => {
                "its anchors are not rounded to whole pixels and are at fixed strides, its pictures are \
                 resized to rounded sides (and in its caffe style are BGR), and its classes have no background"
            }
        }
    }

    /// Recognises a framework from the names that exist, which have no wrappers.
    pub(super) fn recognise<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<Self> {
        names.find_map(|name| match name {
            // Both frameworks call a two-stage detector's parts otherwise.
            "head.cls_subnet.0.weight" | "head.bbox_subnet.0.weight" => Some(Self::Detectron2),
            "bbox_head.retina_cls.weight" | "bbox_head.retina_reg.weight" => {
                Some(Self::Mmdetection)
            }
            _ => None,
        })
    }
}

impl std::fmt::Display for Framework {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Framework::{self, Detectron2, Mmdetection};

    #[test]
    fn only_the_heads_of_the_two_frameworks_are_recognised() {
        for (name, framework) in [
            ("head.cls_subnet.0.weight", Some(Detectron2)),
            ("bbox_head.retina_reg.weight", Some(Mmdetection)),
            ("head.classification_head.conv.0.0.weight", None),
            ("classification_head.conv.0.weight", None),
            ("roi_heads.box_predictor.cls_score.weight", None),
            ("bbox_head.fc_cls.weight", None),
        ] {
            let names = ["backbone.conv1.weight", name];
            assert_eq!(Framework::recognise(names.into_iter()), framework, "{name}");
        }
    }
}
