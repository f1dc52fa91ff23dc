//! Heads made by hand, for tests.

use crate::dicom::head::{Element, Head, Node, Value};
use crate::model::{Tag, VR};

/// A head in the making, element by element in the order of a file.
#[derive(Default)]
pub(crate) struct Made {
    head: Head,
}

pub(crate) fn head() -> Made {
    Made::default()
}

impl Made {
    pub(crate) fn syntax(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.head.meta.transfer_syntax_uid);
        self
    }

    pub(crate) fn with(mut self, tag: (u16, u16), vr: VR, bytes: impl AsRef<[u8]>) -> Self {
        let start = self.head.arena.len();
        self.head.arena.extend_from_slice(bytes.as_ref());
        let value = Value::Inline(start..self.head.arena.len());
        self.push(tag, vr, value)
    }

    pub(crate) fn bulk(self, tag: (u16, u16), vr: VR) -> Self {
        self.push(tag, vr, Value::Bulk(1000..2_000_000))
    }

    pub(crate) fn fragments(self, tag: (u16, u16)) -> Self {
        self.push(tag, VR::OB, Value::Fragments)
    }

    pub(crate) fn sequence(self, tag: (u16, u16)) -> Self {
        self.node(Node::SequenceStart(Tag::from(tag)))
    }

    pub(crate) fn item(self) -> Self {
        self.node(Node::ItemStart)
    }

    pub(crate) fn item_end(self) -> Self {
        self.node(Node::ItemEnd)
    }

    pub(crate) fn sequence_end(self) -> Self {
        self.node(Node::SequenceEnd)
    }

    pub(crate) fn node(mut self, node: Node) -> Self {
        self.head.nodes.push(node);
        self
    }

    pub(crate) fn done(self) -> Head {
        self.head
    }

    fn push(self, tag: (u16, u16), vr: VR, value: Value) -> Self {
        let tag = Tag::from(tag);
        self.node(Node::Element(Element {
            tag,
            vr,
            offset: 0,
            value,
        }))
    }
}
