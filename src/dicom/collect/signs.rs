//! US or SS: which one an attribute has whose VR is either, by Pixel Representation (0028,0103) of the data set around it
//! (PS3.5 annex A.1, J22).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::head::Node;
use crate::model::{Tag, VR};

/// What is not settled, by data set.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// The top level.
    top: Scope,
    /// The open items.
    items: Vec<Scope>,
}

/// One data set: the top level or an item.
#[derive(Debug, Default)]
struct Scope {
    signed: Option<bool>,
    /// Nodes that are US or SS.
    unsettled: Vec<usize>,
}

impl Signs {
    /// An element begins whose VR is US by the dictionary; it becomes the node `at`.
    pub(super) fn element(&mut self, tag: Tag, at: usize) {
        let either = StandardDataDictionary
            .by_tag(tag)
            .is_some_and(|entry| entry.vr() == VirtualVr::Xs);
        if either {
            self.scope().unsettled.push(at);
        }
    }

    /// The value of Pixel Representation, little endian.
    pub(super) fn pixel_representation(&mut self, value: &[u8]) {
        if let Some(value) = value.first_chunk() {
            self.scope().signed = Some(u16::from_le_bytes(*value) == 1);
        }
    }

    pub(super) fn item_start(&mut self) {
        self.items.push(Scope::default());
    }

    /// The item ends: what it cannot settle is left to the data set around it.
    pub(super) fn item_end(&mut self, nodes: &mut [Node]) {
        let Some(mut item) = self.items.pop() else {
            return;
        };
        if item.signed.is_some() {
            item.settle(nodes);
            return;
        }
        let outer = &mut self.scope().unsettled;
        // The longer list stays where it is: deep nesting would copy it once a level.
        if outer.len() < item.unsettled.len() {
            std::mem::swap(outer, &mut item.unsettled);
        }
        outer.append(&mut item.unsettled);
    }

    /// The data set ends.
    pub(super) fn finish(&self, nodes: &mut [Node]) {
        self.top.settle(nodes);
    }

    fn scope(&mut self) -> &mut Scope {
        self.items.last_mut().unwrap_or(&mut self.top)
    }
}

impl Scope {
    fn settle(&self, nodes: &mut [Node]) {
        if self.signed != Some(true) {
            return;
        }
        for at in &self.unsettled {
            if let Some(Node::Element(element)) = nodes.get_mut(*at) {
                element.vr = VR::SS;
            }
        }
    }
}
