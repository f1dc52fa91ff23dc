//! What is asked of each reader of foreign bytes, whatever they are: it does not panic, and what it says does not depend on how
//! the bytes were cut on their way. Shared by the fuzzers (`fuzz_targets/`) and the tests (`tests/it/fuzzed.rs`).

use bytes::Bytes;
use dicom_core::VR;
use kura::dicom::charset::Charset;
use kura::dicom::codec::{self, Photometric, PixelFormat, Samples};
use kura::dicom::collect::Collector;
use kura::dicom::frames::FrameTable;
use kura::dicom::mint::Form;
use kura::dicom::mint::compose::compose;
use kura::dicom::query::Query;
use kura::dicom::query::metadata::MetadataQuery;
use kura::dicom::render::{
    Colors, Head, Image, Picture, PictureType, Presentation, Raster, Wish, encode,
    picture as render, plot, profile, report,
};
use kura::dicom::scan::{Limits, Scanner};
use kura::dicom::visit::{MOST_LEVELS, Named, Value, Visitor};
use kura::dicom::{bulk, conformance, extract, json, xml};
use kura::http::accept::{Accept, Offer};
use kura::http::dicomweb::wado_uri::Asked;
use kura::http::mint::exact::manifest::Manifest;
use kura::http::multipart::{Event, Reader};
use kura::http::tar;
use kura::model::{AttributeSet, Level, TransferSyntax};

/// What is done with an input.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: &[(&str, Target)] = &[
    ("scan", scan),
    ("charset", charset),
    ("frame_table", frame_table),
    ("json_head", json_head),
    ("json_set", json_set),
    ("xml", xml),
    ("multipart", multipart),
    ("tar", tar),
    ("manifest", manifest),
    ("accept", accept),
    ("query", query),
    ("codec", codec),
    ("picture", picture),
    ("mint_xml", mint_xml),
    ("mint_gpb", mint_gpb),
];

/// A file as it is stored: scanned, judged, indexed, its head written and read again. The first byte says how it is cut.
pub fn scan(data: &[u8]) {
    let Some((cut, file)) = data.split_first() else {
        return;
    };
    let whole = stored(file, file.len().max(1));
    let pieces = stored(file, usize::from(*cut) + 1);
    assert_eq!(whole, pieces, "it matters how the file was cut");
}

type Stored = Result<(Vec<u8>, Option<Vec<u8>>, Vec<String>), String>;

fn stored(file: &[u8], piece: usize) -> Stored {
    let (mut scanner, mut collector) = (Scanner::new(Limits::default()), Collector::new());
    for piece in file.chunks(piece) {
        if let Err(error) = scanner.feed(piece, &mut collector) {
            return Err(error.to_string());
        }
    }
    if let Err(error) = scanner.finish(&mut collector) {
        return Err(error.to_string());
    }
    if let Err(refusal) = conformance::check(collector.head(), None) {
        return Err(refusal.text);
    }
    let head = collector.finish();
    let mut odd = Vec::new();
    let syntax = TransferSyntax::of(&head.meta.transfer_syntax_uid);
    let table = FrameTable::build(&head, syntax, &mut odd);
    if let Some(table) = &table {
        for index in (0..table.frames().min(64)).chain([table.frames(), u32::MAX]) {
            let place = table.frame(index);
            let fits = |place: &kura::dicom::frames::FramePlace| {
                place
                    .ranges
                    .iter()
                    .all(|range| range.end <= file.len() as u64)
            };
            // A deflated data set is longer than its file.
            let is_deflated = head.meta.transfer_syntax_uid == "1.2.840.10008.1.2.1.99";
            assert!(
                is_deflated || place.as_ref().is_none_or(fits),
                "a frame beyond the file"
            );
        }
    }
    let mut written = Vec::new();
    let at = json::At {
        instance_url: "http://localhost/i",
        extras: &AttributeSet::default(),
    };
    odd.extend(json::write_head(&head, &at, &mut written).warnings());
    let _: AttributeSet = extract::indexed(&head);
    assert!(
        json::read_head(&written).is_ok(),
        "what was written cannot be read"
    );
    json_set(&written);
    Ok((written, table.map(|table| table.encode()), odd))
}

/// A text under a character set; a zero byte parts the two.
pub fn charset(data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    let (set, text) = data.split_at(at);
    let set = Charset::of(set);
    for vr in [VR::PN, VR::LO, VR::UT] {
        let decoded = set.decode(text, vr);
        assert!(decoded.text.len() <= 4 + text.len() * 4, "it grows");
    }
}

/// A stored table of frames.
pub fn frame_table(data: &[u8]) {
    let Ok(table) = FrameTable::decode(data) else {
        return;
    };
    for index in [0, 1, table.frames() / 2, table.frames(), u32::MAX] {
        let place = table.frame(index);
        assert!(place.is_none() || index < table.frames());
        drop(table.part(index));
    }
    let again = FrameTable::decode(&table.encode()).map(|table| table.encode());
    assert_eq!(again.ok(), Some(table.encode()));
}

/// A head as it lies in a pack.
pub fn json_head(data: &[u8]) {
    drop(json::read_head(data));
    let mut end = 0;
    for (link, _) in bulk::replaceable(data) {
        assert!(
            end <= link.start && link.end <= data.len(),
            "links in their order"
        );
        end = link.end;
    }
}

/// What stands in a data set: attributes, values, items; and that each ends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    attributes: usize,
    values: usize,
    items: usize,
    open: usize,
}

impl Visitor for Counted {
    fn attribute(&mut self, _: Named<'_>) -> kura::Result<()> {
        self.attributes += 1;
        self.open += 1;
        Ok(())
    }

    fn value(&mut self, _: Value<'_>) -> kura::Result<()> {
        assert!(self.open > 0, "a value of nothing");
        self.values += 1;
        Ok(())
    }

    fn item(&mut self) -> kura::Result<()> {
        assert!(self.open > 0, "an item of nothing");
        self.items += 1;
        self.open += 1;
        Ok(())
    }

    fn item_end(&mut self) -> kura::Result<()> {
        self.open = self.open.checked_sub(1).expect("an item ends that is none");
        Ok(())
    }

    fn attribute_end(&mut self) -> kura::Result<()> {
        self.open = self
            .open
            .checked_sub(1)
            .expect("an attribute ends that is none");
        Ok(())
    }
}

/// Data sets in DICOM JSON. What can be read can be written as XML, and that holds as much.
pub fn json_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for range in json::data_sets(text).unwrap_or_default() {
        let mut counted = Counted::default();
        let mut public = Vec::new();
        // What is left is a data set where all of it was one, and has nothing more to lose.
        if json::without_private(&text[range.clone()], &mut public).is_ok() {
            let left = String::from_utf8(public).expect("pieces of a text");
            let mut again = Vec::new();
            json::without_private(&left, &mut again).expect("it was read before");
            assert_eq!(left.as_bytes(), again);
        }
        if json::walk(&text[range.clone()], MOST_LEVELS, &mut counted).is_err() {
            continue;
        }
        assert_eq!(counted.open, 0);
        let mut written = Vec::new();
        if xml::of_json(&text[range], &mut written).is_ok() {
            let written = String::from_utf8(written).expect("UTF-8");
            let mut again = Counted::default();
            let read = xml::read(&written, usize::MAX, &mut again);
            assert!(read.is_ok(), "what was written cannot be read: {written}");
            assert_eq!(again.items, counted.items, "{written}");
        }
    }
}

/// A document of the Native DICOM Model.
pub fn xml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut counted = Counted::default();
    if xml::read(text, MOST_LEVELS, &mut counted).is_ok() {
        assert_eq!(counted.open, 0);
    }
}

/// A tar file: the same files however it was cut. The first byte says how.
pub fn tar(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else {
        return;
    };
    let whole = files(body, body.len().max(1));
    let pieces = files(body, usize::from(*cut) + 1);
    assert_eq!(whole, pieces, "it matters how the tar file was cut");
}

type Files = Vec<(String, u64, Vec<u8>)>;

fn files(body: &[u8], piece: usize) -> (Files, Result<(), String>) {
    let (mut reader, mut files) = (tar::Reader::default(), Vec::new());
    let mut pieces = body.chunks(piece);
    loop {
        match reader.next_event() {
            Ok(tar::Event::Entry(tar::Entry { name, len })) => files.push((name, len, Vec::new())),
            Ok(tar::Event::Data(bytes)) => {
                if let Some((_, _, held)) = files.last_mut() {
                    held.extend_from_slice(&bytes);
                }
            }
            Ok(tar::Event::EntryEnd) => {}
            Ok(tar::Event::End) => return (files, Ok(())),
            Ok(tar::Event::NeedMore) => match pieces.next() {
                Some(piece) => reader.push(Bytes::copy_from_slice(piece)),
                None => return (files, reader.finish().map_err(|error| error.to_string())),
            },
            Err(error) => return (files, Err(error.to_string())),
        }
    }
}

/// The manifest of an upload.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::read(data, 100) {
        assert!(manifest.objects.len() <= 100);
    }
}

/// A body in parts. The first byte says how it is cut.
pub fn multipart(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else {
        return;
    };
    let whole = parts(body, body.len().max(1));
    let pieces = parts(body, usize::from(*cut) + 1);
    // A header block that is too long is noticed sooner or later, by how much of it is there.
    if whole.1.is_ok() || pieces.1.is_ok() {
        assert_eq!(whole, pieces, "it matters how the body was cut");
    }
}

type Parts = (Vec<(String, Vec<u8>, bool)>, Result<(), ()>);

fn parts(body: &[u8], piece: usize) -> Parts {
    let mut reader = Reader::new("b");
    let mut found: Vec<(String, Vec<u8>, bool)> = Vec::new();
    let mut pieces = body.chunks(piece);
    loop {
        match reader.next_event() {
            Ok(Event::Part(headers)) => found.push((format!("{headers:?}"), Vec::new(), false)),
            Ok(Event::Data(bytes)) => {
                if let Some(part) = found.last_mut() {
                    part.1.extend_from_slice(&bytes);
                }
            }
            Ok(Event::PartEnd) => {
                if let Some(part) = found.last_mut() {
                    part.2 = true;
                }
            }
            Ok(Event::End) => return (found, Ok(())),
            Ok(Event::NeedMore) => {
                let Some(piece) = pieces.next() else {
                    let end = reader.finish().map_err(drop);
                    found.retain(|part| part.2);
                    return (found, end);
                };
                reader.push(Bytes::copy_from_slice(piece));
            }
            Err(_) => {
                found.retain(|part| part.2);
                return (found, Err(()));
            }
        }
    }
}

/// A header and a query string, parted by a line end.
pub fn accept(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (header, query) = text.split_once('\n').unwrap_or((text, ""));
    let offers = [
        Offer::multipart("application/dicom").in_syntax("1.2.840.10008.1.2.1"),
        Offer::multipart("image/jpeg")
            .in_syntax("1.2.840.10008.1.2.4.50")
            .stored(),
        Offer::single("application/dicom+json"),
        Offer::single("application/octet-stream").if_named(),
    ];
    let accept = Accept::parse(header, query);
    let chosen = accept.choose(&offers).map(Offer::content_type).ok();
    let again = accept.choose(&offers).map(Offer::content_type).ok();
    assert_eq!(chosen, again);
}

/// A query string of a search.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for level in [Level::Study, Level::Series, Level::Instance] {
        if let Ok(query) = Query::parse(level, None, None, text) {
            let again = Query::parse(level, None, None, text).map(|query| query.identity.0);
            assert_eq!(again.ok(), Some(query.identity.0));
        }
        drop(Query::parse_literally(level, None, None, text));
    }
    drop(MetadataQuery::parse(text));
}

/// Frames of so many pixels are decoded: what is longer takes long and shows nothing more.
const MOST_PIXELS: u64 = 1 << 14;

/// A frame as it is stored, behind eight bytes: its transfer syntax, rows and columns, samples, bits allocated, bits stored, and
/// whether there are signs, planes, and of what colours. What decodes is as long as the data set says; what is encoded of it
/// without loss decodes to the same.
pub fn codec(data: &[u8]) {
    let Some((head, stored)) = data.split_first_chunk::<8>() else {
        return;
    };
    let [kind, rows, columns, large, samples, allocated, bits, more] = *head;
    let decoded: Vec<_> = TransferSyntax::all()
        .iter()
        .filter(|it| codec::can_decode(it))
        .collect();
    let syntax = decoded[usize::from(kind) % decoded.len()];
    let bits_allocated = [1, 8, 16, 32, 64][usize::from(allocated) % 5];
    let format = PixelFormat {
        rows: u16::from(rows) << (large & 7),
        columns: u16::from(columns) << (large >> 3 & 7),
        samples_per_pixel: u16::from(samples) % 5,
        bits_allocated,
        bits_stored: u16::from(bits).clamp(1, bits_allocated),
        high_bit: u16::from(bits).clamp(1, bits_allocated) - 1,
        is_signed: more & 1 == 1,
        planar_configuration: u16::from(more >> 1 & 1),
        photometric: [
            Photometric::Monochrome2,
            Photometric::Rgb,
            Photometric::YbrFull,
            Photometric::YbrFull422,
            Photometric::YbrRct,
            Photometric::YbrIct,
            Photometric::PaletteColor,
            Photometric::Unknown,
        ][usize::from(more >> 2 & 7)],
    };
    if format.pixels() > MOST_PIXELS {
        return;
    }
    if let Some(Ok(jpeg)) = codec::original_jpeg(syntax, &format, stored) {
        assert!(jpeg.starts_with(&[0xFF, 0xD8]));
    }
    let Ok(found) = codec::decode(syntax, &format, stored) else {
        return;
    };
    assert_eq!(found.bytes.len() as u64, found.format.interleaved_bytes());
    let octets = codec::octets(found.clone(), &format);
    assert_eq!(octets.len() as u64, format.frame_bytes());
    // One encoder an input, by a byte that says nothing else.
    let made: Vec<_> = codec::encodable()
        .filter(|it| !it.lossy && codec::can_encode(it, &found.format))
        .collect();
    if let Some(target) = made.get(usize::from(kind) % made.len().max(1)) {
        again(target, &found);
    }
}

fn again(target: &TransferSyntax, samples: &Samples) {
    let Ok(stored) = codec::encode(target, samples) else {
        return;
    };
    let again = codec::decode(target, &samples.format, &stored);
    let again = again.expect("what was encoded cannot be decoded").bytes;
    assert!(again == samples.bytes, "{} loses something", target.name);
}

/// A query string, the head of an image, and that of a presentation state or of what is drawn, each on its line; behind them
/// the samples of a frame, and before those what they are.
pub fn picture(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (query, image, other, samples) = (line(), line(), line(), line());
    let query = String::from_utf8_lossy(query);
    let mut wishes = vec![Wish::default()];
    wishes.extend(Wish::parse(&query));
    wishes.extend(Wish::parse_thumbnail(&query));
    if let Ok(asked) = Asked::parse(&query) {
        drop(asked.frames());
        wishes.extend(asked.wish());
    }
    if let Ok(report) = report::Report::read(other) {
        drop((report.html(), report.plain()));
    }
    drop(plot::contours(other).map(|drawn| file(&drawn)));
    let (Ok(head), Ok(other)) = (Head::read(image, 0), Head::read(other, 0)) else {
        return;
    };
    drop(plot::waveform(&other).map(|drawn| file(&drawn)));
    let Some(raster) = raster(samples) else {
        return;
    };
    let state = Presentation::of(other, "1.2.3", 0);
    for wish in &wishes {
        // Large pictures take long: the sides of the viewport are checked elsewhere.
        let viewport = wish.viewport.as_ref();
        if viewport.is_some_and(|it| it.shorter_side() > 64) {
            continue;
        }
        let shown = render(Image::of(&head, 0), &raster, wish, state.as_ref());
        file(&shown);
        if let Some(wanted) = wish.profile {
            let colors = Colors::of(&head, None);
            drop(profile::apply(shown, &colors, wanted).map(|(shown, _)| file(&shown)));
        }
    }
}

/// A frame of 16 by 16 samples, those that are given over and over, behind two bytes of what they are.
fn raster(data: &[u8]) -> Option<Raster> {
    let (&[shape, bits], samples) = data.split_first_chunk::<2>()?;
    let bits_allocated = [8, 16, 32, 64][usize::from(shape & 3)];
    let bits_stored = u16::from(bits).clamp(1, bits_allocated);
    let is_color = shape & 4 != 0;
    let format = PixelFormat {
        rows: 16,
        columns: 16,
        samples_per_pixel: if is_color { 3 } else { 1 },
        bits_allocated,
        bits_stored,
        high_bit: bits_stored - 1,
        is_signed: shape & 8 != 0,
        planar_configuration: 0,
        photometric: match (is_color, shape >> 4 & 3) {
            (true, 0) => Photometric::YbrFull,
            (true, _) => Photometric::Rgb,
            (false, 0) => Photometric::PaletteColor,
            (false, 1) => Photometric::Monochrome1,
            (false, _) => Photometric::Monochrome2,
        },
    };
    let len = usize::try_from(format.interleaved_bytes()).ok()?;
    let bytes = samples.iter().chain(&[0]).copied().cycle().take(len);
    let samples = Samples {
        format,
        bytes: bytes.collect(),
    };
    Raster::new(samples, shape & 0x40 != 0).ok()
}

/// The picture is whole, and can be written.
fn file(picture: &Picture) {
    let pixels = picture.width as usize * picture.height as usize;
    assert_eq!(picture.samples.len(), pixels * picture.channels());
    for kind in [PictureType::Png, PictureType::Jpeg(50)] {
        assert!(encode(picture, None, kind).is_ok(), "it cannot be written");
    }
}

/// A study as a MINT document in XML.
pub fn mint_xml(data: &[u8]) {
    mint(data, Form::Xml);
}

/// A study as a MINT document in protobuf.
pub fn mint_gpb(data: &[u8]) {
    mint(data, Form::Protobuf);
}

/// What is read comes back from the form it came in, and its instances become files or are refused.
fn mint(data: &[u8], form: Form) {
    let Ok(study) = form.study(data) else {
        return;
    };
    let again = form.study(form.document(&study).as_slice());
    assert_eq!(again.ok().as_ref(), Some(&study), "it does not come back");
    drop(Form::Xml.document(&study));
    for series in &study.series {
        for instance in &series.instances {
            let above: [&[_]; 3] = [&study.attributes, &series.attributes, &series.normalized];
            let _file = compose(&above, instance, &|item| Some(u64::from(item % 300)));
        }
    }
}
