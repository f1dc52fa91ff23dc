//! Rendered resources and thumbnails (dicomweb.md section 8).

use std::io::Cursor;

use crate::harness::{Answer, Server, instance};

const AT: &str = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";

/// Width, height and samples of a PNG; three samples a pixel in colour.
pub(super) fn png(answer: &Answer) -> (u32, u32, Vec<u8>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "image/png");
    let decoder = png::Decoder::new(Cursor::new(&answer.body));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut samples).unwrap();
    let info = reader.info();
    (info.width, info.height, samples)
}

/// Width and height of a JPEG, out of its frame header.
pub(super) fn jpeg_size(answer: &Answer) -> (u16, u16) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert!(answer.body.starts_with(&[0xFF, 0xD8]));
    let at = answer.body.windows(2).position(|w| w == [0xFF, 0xC0]);
    let header = &answer.body[at.expect("a frame header")..];
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    (word(7), word(5))
}

/// A slice of 2 rows and 4 columns with values in steps of 100 from -1000 on.
pub(super) fn steps() -> instance::Builder {
    let values: Vec<u8> = (0_u16..8).flat_map(|n| (n * 100).to_le_bytes()).collect();
    instance("1.2.3")
        .number(0x0028_0010, 2)
        .number(0x0028_0011, 4)
        .number(0x0028_0100, 16)
        .number(0x0028_0101, 16)
        .number(0x0028_0102, 15)
        .number(0x0028_0103, 0)
        .text(0x0028_1052, "DS", "-1000")
        .text(0x0028_1053, "DS", "1")
        .bytes(0x7FE0_0010, "OW", values)
}

async fn filled(file: Vec<u8>) -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[file]).await;
    (server, token)
}

#[tokio::test]
async fn r15_r16_g01_an_instance_and_its_frame_are_pictures() {
    let (server, token) = filled(steps().file()).await;
    for path in ["/rendered", "/frames/1/rendered"] {
        let path = format!("{AT}{path}");
        let answer = server.get(&path, &token).await;
        assert_eq!(jpeg_size(&answer), (4, 2), "the default");
        let location = format!("{}/dicomweb{path}", server.base);
        assert_eq!(answer.header("content-location"), location);
        for accept in [
            "image/jpeg",
            "image/*",
            "image/jpg",
            "text/html, image/jpeg;q=0.5",
        ] {
            assert_eq!(
                jpeg_size(&server.get_as(&path, &token, accept).await),
                (4, 2)
            );
        }
        let answer = server.get_as(&path, &token, "image/png").await;
        // The whole range of the frame where there is no window (G07).
        let greys = [0, 36, 73, 109, 146, 182, 219, 255].to_vec();
        assert_eq!(png(&answer), (4, 2, greys));
        let by_query = format!("{path}?accept=image%2Fpng");
        assert_eq!(
            png(&server.get_as(&by_query, &token, "image/jpeg").await).0,
            4
        );
        let gif = server.get_as(&path, &token, "image/gif").await;
        assert_eq!(
            (gif.status, gif.header("content-type")),
            (200, "image/gif".to_owned())
        );
        assert!(gif.body.starts_with(b"GIF89a"));
        let parts = server
            .get_as(&path, &token, "multipart/related; type=\"image/jpeg\"")
            .await
            .parts();
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].header("Content-Type"), "image/jpeg");
        let refused = server.get_as(&path, &token, "image/webp").await;
        assert_eq!(refused.status, 406);
        let acceptable = refused.json()["acceptable"].to_string();
        assert!(acceptable.contains("image/png"), "{acceptable}");
    }
}

#[tokio::test]
async fn g06_g07_the_window_is_the_callers_else_that_of_the_image() {
    let windowed = steps()
        .text(0x0028_1050, "DS", "-650\\0")
        .text(0x0028_1051, "DS", "701\\1")
        .file();
    let (server, token) = filled(windowed).await;
    let shown = async |query: &str| {
        let path = format!("{AT}/rendered{query}");
        png(&server.get_as(&path, &token, "image/png").await).2
    };
    // PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255.
    assert_eq!(shown("").await, [0, 37, 73, 109, 146, 182, 219, 255]);
    assert_eq!(
        shown("?window=-800,201,linear").await,
        [0, 1, 128, 255, 255, 255, 255, 255]
    );
    assert_eq!(
        shown("?window=-800%2C400%2Clinear-exact").await,
        [0, 64, 128, 191, 255, 255, 255, 255]
    );
    assert_eq!(
        shown("?window=-800,400,sigmoid").await,
        [30, 69, 128, 186, 225, 243, 250, 253]
    );
}

#[tokio::test]
async fn g04_g12_the_viewport_fits_cuts_and_turns() {
    let (server, token) = filled(steps().file()).await;
    let shown = async |query: &str| {
        let path = format!("{AT}/rendered?viewport={query}");
        png(&server.get_as(&path, &token, "image/png").await)
    };
    let size = async |query: &str| {
        let (width, height, _) = shown(query).await;
        (width, height)
    };
    assert_eq!(size("2,2").await, (2, 1));
    assert_eq!(size("64%2C64").await, (64, 32));
    assert_eq!(size("8192,1").await, (2, 1));
    assert_eq!(size("100,100,,,2,2").await, (100, 100));
    let (_, _, turned) = shown("4,2,,,-4,2").await;
    assert_eq!(turned, [109, 73, 36, 0, 255, 219, 182, 146]);
    let (_, _, part) = shown("1,1,3,1,1,1").await;
    assert_eq!(part, [255]);
    let tall = steps()
        .uids("1.5", "1.5.1", "1.5.1.1")
        .text(0x0028_0034, "IS", "2\\1")
        .file();
    server.stored(&token, &[tall]).await;
    let path = "/studies/1.5/series/1.5.1/instances/1.5.1.1/rendered";
    let (width, height, _) = png(&server.get_as(path, &token, "image/png").await);
    assert_eq!((width, height), (4, 4));
}

#[tokio::test]
async fn s08_g05_g08_g09_g10_g19_odd_parameters_are_refused_or_told() {
    let (server, token) = filled(steps().file()).await;
    for query in [
        "viewport=0,0",
        "viewport=8193,1",
        "viewport=a,b",
        "viewport=1,1&viewport=1,1",
        "window=40,400",
        "window=40,400,cubic",
        "window=40,0,linear",
        "quality=0",
        "quality=101",
        "quality=x",
        "quality=1&quality=1",
        "annotation=",
        "iccprofile=cmyk",
        "viewport=%FF,1",
    ] {
        let answer = server.get(&format!("{AT}/rendered?{query}"), &token).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let path = format!("{AT}/rendered?iccprofile=yes");
    assert_eq!(server.get_as(&path, &token, "image/gif").await.status, 400);
    let answer = server
        .get(
            &format!("{AT}/rendered?annotation=patient&iccprofile=srgb"),
            &token,
        )
        .await;
    assert_eq!(answer.status, 200);
    let told: Vec<_> = answer.headers.get_all("warning").iter().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    // The marker segment of a profile.
    assert!(answer.body.windows(12).any(|it| it == b"ICC_PROFILE\0"));
    let told = answer.header("warning");
    assert!(
        told.starts_with("299 http") && told.ends_with("not supported: patient"),
        "{told}"
    );
    let (small, large) = (
        server
            .get(&format!("{AT}/rendered?quality=1&viewport=256,256"), &token)
            .await,
        server
            .get(
                &format!("{AT}/rendered?quality=100&viewport=256,256"),
                &token,
            )
            .await,
    );
    assert!(small.body.len() < large.body.len());
    // On what is not rendered they are nobody's business (G19).
    for path in [
        "/metadata?viewport=x&window=1",
        "/frames/1?quality=0&quality=0",
    ] {
        assert_eq!(server.get(&format!("{AT}{path}"), &token).await.status, 200);
    }
}

#[tokio::test]
async fn r17_g15_g17_g18_a_thumbnail_is_small_at_every_level() {
    let large = steps()
        .number(0x0028_0010, 300)
        .number(0x0028_0011, 600)
        .bytes(0x7FE0_0010, "OW", vec![7; 300 * 600 * 2])
        .file();
    let (server, token) = filled(large).await;
    for level in [
        "/studies/1.2.3.1",
        "/studies/1.2.3.1/series/1.2.3.1.1",
        AT,
        &format!("{AT}/frames/1"),
    ] {
        let path = format!("{level}/thumbnail");
        let answer = server.get(&path, &token).await;
        assert_eq!(jpeg_size(&answer), (128, 64), "{level}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "cross-origin"
        );
        assert_eq!(answer.header("content-disposition"), "inline");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        let sized = format!("{path}?viewport=256%2C256");
        assert_eq!(jpeg_size(&server.get(&sized, &token).await), (256, 128));
        assert_eq!(png(&server.get_as(&path, &token, "image/png").await).0, 128);
        for query in [
            "viewport=1,1,0,0,1,1",
            "viewport=0,1",
            "viewport=1,1&viewport=1,1",
        ] {
            let answer = server.get(&format!("{path}?{query}"), &token).await;
            assert_eq!(answer.status, 400, "{level} {query}");
        }
        assert_eq!(
            server
                .get_as(&path, &token, "application/dicom")
                .await
                .status,
            406
        );
        let whole = format!("{level}/rendered");
        let answer = server.get(&whole, &token).await;
        assert_eq!(jpeg_size(&answer), (600, 300), "{level}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "cross-origin"
        );
        assert_eq!(answer.header("content-disposition"), "inline");
    }
    for path in [
        "/frames/2/rendered",
        "/frames/2/thumbnail",
        "/frames/1,2/rendered",
    ] {
        let answer = server.get(&format!("{AT}{path}"), &token).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in ["/frames/0/rendered", "/frames/x/thumbnail"] {
        assert_eq!(server.get(&format!("{AT}{path}"), &token).await.status, 400);
    }
}

#[tokio::test]
async fn c01_s07_a_picture_that_the_caller_has_is_not_made_again() {
    let (server, token) = filled(steps().file()).await;
    let path = format!("{AT}/rendered");
    let ask = async |query: &str, tag: &str| {
        let path = format!("{path}{query}");
        let request = server.request(reqwest::Method::GET, &path, &token);
        server.send(request.header("if-none-match", tag)).await
    };
    let tag = server.get(&path, &token).await.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let same = ask("", &tag).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), tag);
    assert_eq!(ask("", &format!("\"x\", W/{tag}")).await.status, 304);
    assert_eq!(ask("?quality=10", &tag).await.status, 200);
    assert_eq!(ask("?accept=image/png", &tag).await.status, 200);
    assert_eq!(ask("", "\"x\"").await.status, 200);
}
