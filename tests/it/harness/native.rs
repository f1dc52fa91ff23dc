//! The Native DICOM Model as DICOM JSON, read by the rules of PS3.19 A.1 and of PS3.18 F.2 and by nothing of the archive.

use quick_xml::XmlVersion;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::{Map, Value, json};

/// An element.
#[derive(Debug, Default)]
pub struct Node {
    pub name: String,
    pub attributes: Map<String, Value>,
    pub nodes: Vec<Node>,
    pub text: String,
}

/// Reads a document into a tree.
pub fn tree(xml: &str) -> Node {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Node::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
                    let name = attribute.key.as_ref().to_owned();
                    (name, Value::from(value.into_owned()))
                });
                open.push(Node {
                    name: start.name().as_ref().to_owned(),
                    attributes: attributes.collect(),
                    ..Node::default()
                });
            }
            Event::End(_) => {
                let node = open.pop().unwrap();
                open.last_mut().unwrap().nodes.push(node);
            }
            Event::Text(text) => open
                .last_mut()
                .unwrap()
                .text
                .push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let c = reference.resolve_char_ref().unwrap();
                let c = c.unwrap_or_else(|| match &*reference {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    other => panic!("&{other};"),
                });
                open.last_mut().unwrap().text.push(c);
            }
            Event::Eof => return open.pop().unwrap().nodes.pop().unwrap(),
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

/// The data set of a document, in the form of [`comparable`].
pub fn data_set(xml: &str) -> Value {
    let model = tree(xml);
    assert_eq!(model.name, "NativeDicomModel");
    assert_eq!(
        model.attributes["xmlns"],
        "http://dicom.nema.org/PS3.19/models/NativeDICOM"
    );
    assert_eq!(model.attributes["xml:space"], "preserve");
    Value::Object(attributes(&model))
}

fn attributes(of: &Node) -> Map<String, Value> {
    let mut set = Map::new();
    for node in &of.nodes {
        assert_eq!(node.name, "DicomAttribute");
        let tag = node.attributes["tag"].as_str().unwrap();
        let key = match node.attributes.get("privateCreator") {
            Some(creator) => format!("{tag} {}", creator.as_str().unwrap()),
            None => tag.to_owned(),
        };
        let mut attribute = Map::new();
        attribute.insert("vr".to_owned(), node.attributes["vr"].clone());
        let mut values = Vec::new();
        for child in &node.nodes {
            if let Some(number) = child.attributes.get("number") {
                assert_eq!(*number, (values.len() + 1).to_string());
            }
            match child.name.as_str() {
                "Value" if child.text.is_empty() => values.push(Value::Null),
                "Value" => {
                    let vr = node.attributes["vr"].as_str().unwrap();
                    values.push(plain(vr, &child.text).into());
                }
                "PersonName" => values.push(name(child)),
                "Item" => values.push(Value::Object(attributes(child))),
                "InlineBinary" => {
                    attribute.insert("InlineBinary".to_owned(), child.text.clone().into());
                }
                "BulkData" => {
                    attribute.insert("BulkDataURI".to_owned(), child.attributes["uri"].clone());
                }
                other => panic!("{other} in {key}"),
            }
        }
        if !values.is_empty() {
            attribute.insert("Value".to_owned(), values.into());
        }
        let before = set.insert(key, attribute.into());
        assert!(before.is_none(), "{tag} twice");
    }
    set
}

fn name(node: &Node) -> Value {
    if node.nodes.is_empty() {
        return Value::Null;
    }
    let groups = node.nodes.iter().map(|group| {
        let components: Vec<&str> = group.nodes.iter().map(|c| c.text.as_str()).collect();
        (group.name.clone(), Value::from(components.join("^")))
    });
    Value::Object(groups.collect())
}

/// A data set in DICOM JSON in a form that compares: numbers as their text, characters that XML has not replaced, private
/// elements by their creator instead of their block, creators that reserve something left out.
pub fn comparable(set: &Value) -> Value {
    let set = set.as_object().unwrap();
    let creator = |tag: &str| {
        let is_private = u16::from_str_radix(&tag[..4], 16).unwrap() & 1 == 1;
        let block =
            (is_private && &tag[4..6] != "00").then(|| format!("{}00{}", &tag[..4], &tag[4..6]))?;
        let creator = set.get(&block)?;
        let values = creator["Value"].as_array()?;
        let name = values.first()?.as_str()?;
        (values.len() == 1).then(|| (block, name.to_owned()))
    };
    let used: Vec<String> = set.keys().filter_map(|tag| Some(creator(tag)?.0)).collect();
    let mut out = Map::new();
    for (tag, attribute) in set {
        if used.contains(tag) {
            continue;
        }
        let key = match creator(tag) {
            Some((_, name)) => format!("{}00{} {}", &tag[..4], &tag[6..], legible(&name)),
            None => tag.clone(),
        };
        let mut attribute = attribute.clone();
        let vr = attribute["vr"].as_str().unwrap().to_owned();
        if let Some(values) = attribute.get_mut("Value").and_then(Value::as_array_mut) {
            for value in values {
                *value = match &*value {
                    Value::Number(number) => plain(&vr, &number.to_string()).into(),
                    Value::String(text) => plain(&vr, &legible(text)).into(),
                    Value::Object(groups) if attribute_is_name(groups) => {
                        let groups = groups.iter().map(|(name, text)| {
                            let text = legible(text.as_str().unwrap());
                            (name.clone(), json!(text))
                        });
                        Value::Object(groups.collect())
                    }
                    item @ Value::Object(_) => comparable(item),
                    other @ (Value::Null | Value::Bool(_) | Value::Array(_)) => other.clone(),
                };
            }
        }
        out.insert(key, attribute);
    }
    Value::Object(out)
}

/// A number in one spelling; any other text as it is.
fn plain(vr: &str, text: &str) -> String {
    let is_number = "DS FD FL IS SL SS SV UL US UV"
        .split(' ')
        .any(|other| other == vr);
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|n| is_number && n.is_finite());
    // serde_json reads a double to within its last digit.
    number.map_or_else(|| text.to_owned(), |number| format!("{number:.12e}"))
}

fn attribute_is_name(object: &Map<String, Value>) -> bool {
    object.keys().any(|key| key.len() > 8) && !object.is_empty()
}

fn legible(text: &str) -> String {
    let replaced = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(replaced).collect()
}
