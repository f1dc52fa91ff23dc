//! What real viewers send, with their own headers and query strings (dicomweb.md 15): each request gets what its sender
//! needs. One test a client.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Server, instance};

const DICOM_JSON: &str = "application/dicom+json";
const STUDY: &str = "/studies/1.2.826.7.1";
const SERIES: &str = "/studies/1.2.826.7.1/series/1.2.826.7.1.1";
const SLICE: &str = "/studies/1.2.826.7.1/series/1.2.826.7.1.1/instances/1.2.826.7.1.1.1";
const PDF: &str = "/studies/1.2.826.7.1/series/1.2.826.7.1.2/instances/1.2.826.7.1.2.1";
const SLIDE: &str = "/studies/1.2.826.7.2/series/1.2.826.7.2.1/instances/1.2.826.7.2.1.1";
const VIDEO: &str = "/studies/1.2.826.7.2/series/1.2.826.7.2.2/instances/1.2.826.7.2.2.1";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const NATIVE: &str = "1.2.840.10008.1.2.1";

/// A CT of three slices with a PDF, and a slide of three JPEG frames with a video.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let named = |number: u32| {
        instance("1")
            .uids(
                "1.2.826.7.1",
                "1.2.826.7.1.1",
                &format!("1.2.826.7.1.1.{number}"),
            )
            .text(0x0008_1030, "LO", "Chest")
            .text(0x0008_103E, "LO", "Axial")
            .text(0x0020_0013, "IS", &number.to_string())
    };
    let pdf = instance("1")
        .uids("1.2.826.7.1", "1.2.826.7.1.2", "1.2.826.7.1.2.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .modality("DOC")
        .text(0x0020_0011, "IS", "2")
        .without(0x7FE0_0010)
        .text(0x0042_0012, "LO", "application/pdf")
        .bytes(0x0042_0011, "OB", b"%PDF-1.4 of 2000 bytes".repeat(91));
    let fragments = |frames: &[&[u8]]| {
        let mut items = b"\xFE\xFF\x00\xE0\0\0\0\0".to_vec();
        for frame in frames {
            items.extend_from_slice(b"\xFE\xFF\x00\xE0");
            items.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
            items.extend_from_slice(frame);
        }
        items.extend_from_slice(b"\xFE\xFF\xDD\xE0\0\0\0\0");
        items
    };
    let tiles: [&[u8]; 3] = [
        b"\xFF\xD8\xFF\xE01\xFF\xD9",
        b"\xFF\xD8\xFF\xE02\xFF\xD9",
        b"\xFF\xD8\xFF\xE03\xFF\xD9",
    ];
    let slide = instance("2")
        .uids("1.2.826.7.2", "1.2.826.7.2.1", "1.2.826.7.2.1.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.6")
        .modality("SM")
        .text(0x0028_0008, "IS", "3")
        .encapsulated(JPEG, &fragments(&tiles.map(|tile| tile)));
    let video = instance("2")
        .uids("1.2.826.7.2", "1.2.826.7.2.2", "1.2.826.7.2.2.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.1.1")
        .modality("ES")
        .text(0x0028_0008, "IS", "20")
        .encapsulated(
            "1.2.840.10008.1.2.4.102",
            &fragments(&[b"\0\0\0\x18ftypmp42".repeat(100).as_slice()]),
        );
    let files = [
        named(1).file(),
        named(2).file(),
        named(3).file(),
        pdf.file(),
        slide.file(),
        video.file(),
    ];
    server.stored(&token, &files).await;
    (server, token)
}

/// A client with the headers that it sends with everything.
struct Client<'a> {
    server: &'a Server,
    token: &'a str,
    own: &'a [(&'static str, &'static str)],
}

impl Client<'_> {
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let path = path.strip_prefix(&self.server.base).unwrap_or(path);
        let mut request = self.server.request(Method::GET, path, self.token);
        for (name, value) in self.own.iter().copied().chain(headers.iter().copied()) {
            request = request.header(name, value);
        }
        self.server.send(request).await
    }

    /// GET with an Accept, which must be answered with 200 and this type.
    async fn ask(&self, path: &str, accept: &str, content_type: &str) -> Answer {
        let answer = self.get(path, &[("accept", accept)]).await;
        assert_eq!(answer.status, 200, "{path} {accept}: {}", answer.text());
        let told = answer.header("content-type");
        assert!(told.starts_with(content_type), "{path} {accept}: {told}");
        answer
    }

    /// A picture, or one of the statuses by which a viewer turns to something else.
    async fn picture(&self, path: &str, accept: &str) {
        let answer = self.get(path, &[("accept", accept)]).await;
        let is_picture =
            answer.status == 200 && answer.header("content-type").starts_with("image/");
        assert!(
            is_picture || matches!(answer.status, 404..=406 | 501),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

fn value<'a>(set: &'a Value, tag: &str) -> &'a Value {
    &set[tag]["Value"][0]
}

const BROWSER: &[(&str, &str)] = &[
    ("accept-language", "ja,en-US;q=0.9"),
    ("accept-encoding", "identity"),
    ("origin", "https://viewer.example"),
    ("sec-fetch-mode", "cors"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0"),
];

#[tokio::test]
async fn ohif_lists_opens_and_saves() {
    let (server, token) = filled().await;
    let ohif = Client {
        server: &server,
        token: &token,
        own: BROWSER,
    };
    let fields = "includefield=00081030%2C00080060%2C00080090%2C00100030";
    let page = format!("/studies?limit=101&offset=0&fuzzymatching=false&{fields}");
    let list = ohif
        .ask(
            &format!("{page}&StudyDate=19700102-20270101"),
            DICOM_JSON,
            DICOM_JSON,
        )
        .await;
    let studies = list.json();
    assert_eq!(studies.as_array().unwrap().len(), 2);
    for study in studies.as_array().unwrap() {
        for tag in ["0020000D", "00080020", "00100020", "00201208"] {
            assert!(!value(study, tag).is_null(), "{tag}: {study}");
        }
        assert!(value(study, "00100010")["Alphabetic"].is_string());
    }
    for (filter, found) in [
        ("PatientName=*YAMADA*", 2),
        ("00100020=*P*", 2),
        ("AccessionNumber=*ACC1*", 2),
        ("StudyDescription=*ches*", 1),
        ("ModalitiesInStudy=SM", 1),
        ("StudyInstanceUID=1.2.826.7.1%5C1.2.826.7.2", 2),
    ] {
        let answer = ohif
            .ask(&format!("{page}&{filter}"), DICOM_JSON, DICOM_JSON)
            .await;
        assert_eq!(answer.json().as_array().unwrap().len(), found, "{filter}");
    }
    let none = ohif
        .get(
            &format!("{page}&PatientName=*nobody*"),
            &[("accept", DICOM_JSON)],
        )
        .await;
    assert_eq!(none.status, 204);
    let series = format!("{STUDY}/series?includefield=0008103E%2C00080021");
    for series in ohif
        .ask(&series, DICOM_JSON, DICOM_JSON)
        .await
        .json()
        .as_array()
        .unwrap()
    {
        for tag in ["0020000D", "0020000E", "00080060", "00200011", "00201209"] {
            assert!(!value(series, tag).is_null(), "{tag}: {series}");
        }
    }
    let both = "application/dicom+json, multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"";
    for accept in [DICOM_JSON, both] {
        let heads = ohif
            .ask(&format!("{SERIES}/metadata"), accept, DICOM_JSON)
            .await
            .json();
        assert_eq!(heads.as_array().unwrap().len(), 3);
        assert_eq!(value(&heads[0], "00280010"), 4, "numbers are numbers");
        ohif.ask(&format!("{STUDY}/metadata"), accept, DICOM_JSON)
            .await;
    }
    for accept in [
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
    ] {
        let frame = ohif
            .ask(&format!("{SLICE}/frames/1"), accept, "multipart/related")
            .await;
        let part = &frame.parts()[0];
        assert_eq!(part.body.len(), 32);
        let syntax = format!("application/octet-stream; transfer-syntax={NATIVE}");
        assert_eq!(part.header("Content-Type"), syntax);
        let tile = ohif
            .ask(&format!("{SLIDE}/frames/2"), accept, "multipart/related")
            .await;
        assert!(tile.parts()[0].header("Content-Type").ends_with(JPEG));
    }
    let object = "multipart/related; type=\"application/dicom\"";
    let file = ohif.ask(PDF, object, "multipart/related").await;
    assert_eq!(&file.parts()[0].body[128..132], b"DICM");
    let document = format!("{PDF}/bulkdata/00420011");
    let accept = "multipart/related; type=\"application/pdf\", multipart/related; type=\"application/octet-stream\"";
    let pdf = ohif.ask(&document, accept, "multipart/related").await;
    assert!(pdf.parts()[0].body.starts_with(b"%PDF-"));
    let pdf = ohif
        .ask(
            &document,
            "multipart/related; type=\"application/octet-stream\"",
            "multipart/related",
        )
        .await;
    assert!(pdf.parts()[0].body.starts_with(b"%PDF-"));
    ohif.ask(&document, "*/*", "application/pdf").await;
    let stream = ohif
        .ask(
            &format!("{VIDEO}/bulkdata/7FE00010?accept=video/mp4"),
            "*/*",
            "video/mp4",
        )
        .await;
    assert_eq!(stream.header("accept-ranges"), "bytes");
    ohif.picture(
        &format!("{SERIES}/thumbnail?viewport=256%2C256"),
        "image/jpeg",
    )
    .await;
    ohif.picture(&format!("{SLICE}/thumbnail?accept=image%2Fjpeg"), "*/*")
        .await;
    let first = ohif
        .ask(
            &format!("{SERIES}/instances?limit=1&includefield=00080018"),
            DICOM_JSON,
            DICOM_JSON,
        )
        .await;
    assert_eq!(first.json().as_array().unwrap().len(), 1);
    // As the client writes it: a line end before the first boundary, none behind the last, no Accept of its own.
    let file = instance("1.2.826.9").modality("SR").file();
    let mut body = b"\r\n--d3adb33f\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(&file);
    body.extend_from_slice(b"\r\n--d3adb33f--");
    let kind = "multipart/related; type=\"application/dicom\"; boundary=\"d3adb33f\"";
    let saved = server.post("/studies", &token, kind, body).await;
    assert_eq!(
        (saved.status, saved.header("content-type")),
        (200, DICOM_JSON.to_owned())
    );
    let corrector = server.token("F001", "dicom.read dicom.correct");
    let reject = format!("{SERIES}/reject/113001%5EDCM");
    let rejected = server
        .send(server.request(Method::POST, &reject, &corrector))
        .await;
    assert_eq!(rejected.status, 204, "{}", rejected.text());
}

#[tokio::test]
async fn cornerstone_streams_and_reads_ranges() {
    let (server, token) = filled().await;
    let loader = Client {
        server: &server,
        token: &token,
        own: BROWSER,
    };
    let accept = "multipart/related; type=application/octet-stream; transfer-syntax=*";
    let frame = loader
        .ask(&format!("{SLICE}/frames/1"), accept, "multipart/related")
        .await;
    let kind = frame.header("content-type");
    let boundary = kind.split("boundary=").nth(1).unwrap();
    let head = String::from_utf8_lossy(&frame.body[..200]).into_owned();
    assert!(
        head.starts_with(&format!("--{boundary}\r\nContent-Type: ")),
        "{head}"
    );
    let jls = "multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.80; transfer-syntax=*";
    let asked = loader
        .get(&format!("{SLICE}/frames/1"), &[("accept", jls)])
        .await;
    match asked.status {
        200 => assert!(
            asked.parts()[0]
                .header("Content-Type")
                .starts_with("image/jls")
        ),
        status => assert_eq!(status, 406, "{}", asked.text()),
    }
    let octets = [("accept", "application/octet-stream; transfer-syntax=*")];
    let path = format!("{VIDEO}/bulkdata/7FE00010");
    let mut bytes = Vec::new();
    loop {
        let range = format!("bytes={}-{}", bytes.len(), bytes.len() + 511);
        let answer = loader.get(&path, &[octets[0], ("range", &range)]).await;
        assert_eq!(answer.status, 206, "{}", answer.text());
        bytes.extend_from_slice(&answer.body);
        let told = answer.header("content-range");
        if told.ends_with(&format!("/{}", bytes.len())) {
            break;
        }
    }
    assert!(bytes == loader.get(&path, &octets).await.body);
}

#[tokio::test]
async fn dicomweb_client_of_python_asks_for_what_it_can_read() {
    let (server, token) = filled().await;
    let own = &[
        ("accept-encoding", "gzip, deflate"),
        ("user-agent", "python-requests/2.32.3"),
    ];
    let python = Client {
        server: &server,
        token: &token,
        own,
    };
    let json = "application/dicom+json, application/json";
    let path = "/studies?ModalitiesInStudy=CT&PatientName=Yam%3Fda%5EH%2A&StudyDate=20200101-20241231&fuzzymatching=false&includefield=00080060&includefield=StudyDescription&limit=10&offset=0";
    let found = python.ask(path, json, DICOM_JSON).await;
    assert_eq!(found.json().as_array().unwrap().len(), 1);
    let beyond = python
        .get(&path.replace("offset=0", "offset=5"), &[("accept", json)])
        .await;
    assert_eq!(beyond.status, 204);
    let heads = python
        .ask(&format!("{SLICE}/metadata"), json, DICOM_JSON)
        .await;
    assert!(heads.status == 200);
    let object = "multipart/related; type=\"application/dicom\"";
    assert_eq!(
        python
            .ask(SERIES, object, "multipart/related")
            .await
            .parts()
            .len(),
        3
    );
    let any = format!("{object}; transfer-syntax=*");
    assert_eq!(
        python
            .ask(SLIDE, &any, "multipart/related")
            .await
            .parts()
            .len(),
        1
    );
    let frames = python
        .ask(
            &format!("{SLIDE}/frames/1,2,3"),
            "multipart/related; type=\"*/*\"",
            "multipart/related",
        )
        .await;
    assert_eq!(frames.parts().len(), 3);
    let chosen = "multipart/related; type=\"image/jpeg\"; transfer-syntax=1.2.840.10008.1.2.4.50, multipart/related; type=\"image/jp2\"; transfer-syntax=1.2.840.10008.1.2.4.90, multipart/related; type=\"application/octet-stream\"";
    let frames = python
        .ask(&format!("{SLIDE}/frames/2"), chosen, "multipart/related")
        .await;
    assert_eq!(frames.parts().len(), 1);
    let bulk = format!("{PDF}/bulkdata/00420011");
    let whole = python
        .ask(
            &bulk,
            "multipart/related; type=\"*/*\"",
            "multipart/related",
        )
        .await;
    let headers = [
        ("accept", "multipart/related; type=\"*/*\""),
        ("range", "bytes=0-99"),
    ];
    let part = python.get(&bulk, &headers).await;
    assert_eq!((part.status, part.body.len()), (206, 100));
    assert!(
        part.header("content-range")
            .ends_with(&whole.body.len().to_string())
    );
    python
        .picture(
            &format!("{SLICE}/frames/1/rendered?quality=90"),
            "image/png",
        )
        .await;
    python
        .picture(&format!("{SERIES}/rendered"), "image/gif")
        .await;
    let twice = server.store(&token, &[instance("1.2.826.9").file()]).await;
    assert_eq!(twice.header("content-type"), DICOM_JSON);
    let missing = server.request(Method::DELETE, "/studies/1.2.826.404", &token);
    assert!(server.send(missing).await.status != 405);
}

#[tokio::test]
async fn slicer_pages_until_there_is_nothing_more() {
    let (server, token) = filled().await;
    let own = &[("user-agent", "python-requests/2.32.3")];
    let slicer = Client {
        server: &server,
        token: &token,
        own,
    };
    let mut found = 0;
    for offset in 0.. {
        let path = format!("{SERIES}/instances?limit=1&offset={offset}");
        let page = slicer
            .get(
                &path,
                &[("accept", "application/dicom+json, application/json")],
            )
            .await;
        if page.status == 204 {
            break;
        }
        found += page.json().as_array().unwrap().len();
    }
    assert_eq!(found, 3);
    let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    assert_eq!(
        slicer
            .ask(SERIES, accept, "multipart/related")
            .await
            .parts()
            .len(),
        3
    );
}

#[tokio::test]
async fn weasis_lists_downloads_and_finds_a_preview() {
    let (server, token) = filled().await;
    let own = &[("user-agent", "Weasis/4.5.1"), ("accept-encoding", "gzip")];
    let weasis = Client {
        server: &server,
        token: &token,
        own,
    };
    let fields = "includefield=00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,00100021,00100030,00100040,0020000D,00200010";
    for filter in ["00100020=P1", "0020000D=1.2.826.7.1", "00080050=ACC1"] {
        let answer = weasis
            .get(
                &format!("/studies?{filter}&{fields}"),
                &[("accept", DICOM_JSON)],
            )
            .await;
        assert_eq!(answer.status, 200, "{filter}");
    }
    let repeated = fields.replace(',', "&includefield=");
    let answer = weasis
        .get(&format!("/studies?0020000D=1.2.826.7.1&{repeated}"), &[])
        .await;
    assert_eq!(answer.status, 200);
    let plain = Client { own: &[], ..weasis };
    let series =
        format!("{STUDY}/series?includefield=0008103E,00080060,0020000E,00200011,00081190");
    let series = plain.ask(&series, DICOM_JSON, DICOM_JSON).await.json();
    let retrieve = value(&series[0], "00081190").as_str().unwrap().to_owned();
    let accept = "multipart/related;type=\"application/dicom\";transfer-syntax=*";
    assert_eq!(
        plain
            .ask(&retrieve, accept, "multipart/related")
            .await
            .parts()
            .len(),
        3
    );
    plain
        .picture(
            &format!("{SERIES}/thumbnail?viewport=256%2C256"),
            "image/jpeg",
        )
        .await;
    let count = format!("{STUDY}/series?0020000E=1.2.826.7.1.1&includefield=00201209");
    let count = plain.ask(&count, DICOM_JSON, DICOM_JSON).await.json();
    assert_eq!(value(&count[0], "00201209"), 3);
    let middle = format!("{SERIES}/instances?includefield=00080018&limit=1&offset=1");
    let middle = plain.ask(&middle, DICOM_JSON, DICOM_JSON).await.json();
    let uid = value(&middle[0], "00080018").as_str().unwrap().to_owned();
    assert_eq!(uid, "1.2.826.7.1.1.2");
    plain
        .picture(
            &format!("{SERIES}/instances/{uid}/rendered?viewport=256%2C256"),
            "image/jpeg",
        )
        .await;
}

#[tokio::test]
async fn slide_viewers_find_levels_and_read_tiles() {
    let (server, token) = filled().await;
    let own = &[("user-agent", "python-requests/2.32.3")];
    let slides = Client {
        server: &server,
        token: &token,
        own,
    };
    let json = "application/dicom+json, application/json";
    let path = "/studies/1.2.826.7.2/instances?00080016=1.2.840.10008.5.1.4.1.1.77.1.6&0020000E=1.2.826.7.2.1&00080060=SM&includefield=AvailableTransferSyntaxUID";
    let found = slides.ask(path, json, DICOM_JSON).await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(value(&found[0], "00083002"), JPEG);
    let tiles = format!("multipart/related; type=\"image/jpeg\"; transfer-syntax={JPEG}");
    let tiles = slides
        .ask(
            &format!("{SLIDE}/frames/1,2,3"),
            &tiles,
            "multipart/related",
        )
        .await;
    let bodies: Vec<_> = tiles.parts().into_iter().map(|part| part.body).collect();
    assert!(
        bodies
            .iter()
            .zip(1..)
            .all(|(body, number)| body[4] == b'0' + number)
    );
    // The only status that it takes for "in another transfer syntax".
    let other = "multipart/related; type=\"image/jpx\"; transfer-syntax=1.2.840.10008.1.2.4.92";
    let refused = slides
        .get(&format!("{SLIDE}/frames/1"), &[("accept", other)])
        .await;
    assert_eq!(refused.status, 406);
    // dicom-microscopy-viewer in OHIF.
    let frame = slides
        .ask(&format!("{SLIDE}/frames/1"), "*/*", "multipart/related")
        .await;
    assert!(frame.parts()[0].header("Content-Type").ends_with(JPEG));
}

#[tokio::test]
async fn a_browser_opens_what_is_typed_into_it() {
    let (server, token) = filled().await;
    let browser = Client {
        server: &server,
        token: &token,
        own: BROWSER,
    };
    let typed = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8";
    browser.ask("/studies", typed, DICOM_JSON).await;
    let metadata = browser
        .get(&format!("{SERIES}/metadata"), &[("accept", typed)])
        .await;
    assert_eq!(metadata.status, 200);
    browser
        .ask(
            &format!("{PDF}/bulkdata/00420011"),
            typed,
            "application/pdf",
        )
        .await;
    let absent = browser.get("/studies/9", &[("accept", typed)]).await;
    assert_eq!(
        (absent.status, absent.header("content-type")),
        (404, "text/plain; charset=utf-8".to_owned())
    );
    // What a video element sends first, and when somebody jumps.
    let path = format!("{VIDEO}/bulkdata/7FE00010?accept=video/mp4");
    for range in ["bytes=0-", "bytes=600-"] {
        let answer = browser
            .get(&path, &[("accept", "*/*"), ("range", range)])
            .await;
        assert_eq!(answer.status, 206, "{range}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            "video/mp4; transfer-syntax=1.2.840.10008.1.2.4.102"
        );
    }
}
