//! Items that a study's document no longer names: they stay readable by number (MINT I05, U39).

use reqwest::Method;

use super::create::{DOCUMENT, item, items, made, send};
use super::items::{path, read_by_lines};
use super::update::{
    binary, changed, example, item_of, metadata, of_instance, person, small, update,
};
use super::values;
use crate::harness::{Answer, Server, server};

const PIXELS: &str = "<attr tag=\"7FE00010\" vr=\"OW\" bid=\"0\" bsize=\"32\"/>";

/// Gives the first instance of the example other pixels.
async fn replace(server: &Server, token: &str, (uuid, of): (&str, &str), pixels: &[u8]) {
    let text = small("", "", "", &of_instance("2.25.70101", PIXELS));
    let items = vec![binary(0, pixels.to_vec())];
    let job = update(server, token, (uuid, of), &text, items).await;
    let next = of.parse::<u32>().unwrap() + 1;
    changed(&job, &next.to_string());
}

async fn list(server: &Server, token: &str, uuid: &str, list: &str) -> Answer {
    server.get(&path(uuid, list), token).await
}

#[tokio::test]
async fn mint_i05_u39_what_was_replaced_stays_readable_by_number() {
    let (server, token, uuid) = example().await;
    replace(&server, &token, (&uuid, "0"), &[1; 32]).await;
    replace(&server, &token, (&uuid, "1"), &[2; 32]).await;
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "bid"), ["6", "1", "2"]);
    let bytes = |number: u8| match number {
        5 => vec![1; 32],
        6 => vec![2; 32],
        number => item(number),
    };
    for number in 0..7 {
        let told = item_of(&server, &token, &uuid, number.into()).await;
        assert_eq!((told.status, told.body), (200, bytes(number)), "{number}");
    }
    assert_eq!(item_of(&server, &token, &uuid, 7).await.status, 404);
    // In lists, in any order, with those that hold; not among all.
    for (asked, expected) in [
        ("0-6", vec![0, 1, 2, 3, 4, 5, 6]),
        ("5,0,6,0", vec![5, 0, 6, 0]),
        ("0,5.dat", vec![0, 5]),
        ("all", vec![1, 2, 3, 4, 6]),
    ] {
        let answer = list(&server, &token, &uuid, asked).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        let expected = expected.iter().map(|it| (usize::from(*it), bytes(*it)));
        let expected: Vec<_> = expected.collect();
        assert_eq!(read_by_lines(&answer, &uuid), expected, "{asked}");
    }
    for absent in ["0-7", "7,0", "0-4294967295", "0,99999999999999999999"] {
        let answer = list(&server, &token, &uuid, absent).await;
        assert_eq!(answer.status, 404, "{absent}");
    }
    // A list that broke off goes on, and is not sent again where it is known.
    let whole = list(&server, &token, &uuid, "0-6").await;
    let (tag, path) = (whole.header("etag"), path(&uuid, "0-6"));
    let rest = server
        .request(Method::GET, &path, &token)
        .header("range", "bytes=100-")
        .header("if-range", &tag);
    let rest = server.send(rest).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[100..]));
    let known = server
        .request(Method::GET, &path, &token)
        .header("if-none-match", &tag);
    assert_eq!(server.send(known).await.status, 304);
    // Nobody else sees them.
    let foreign = server.reader("F002");
    for asked in ["0", "0,5", "0-6"] {
        assert_eq!(list(&server, &foreign, &uuid, asked).await.status, 404);
    }
}

/// Of an instance with several items one is replaced, and then another: numbers that do not follow each other.
#[tokio::test]
async fn mint_i05_u38_numbers_that_do_not_follow_each_other_are_found_too() {
    let (server, token, uuid) = example().await;
    let private = "<attr tag=\"00091010\" vr=\"OB\" bid=\"0\"/>";
    for (of, attribute, bytes) in [
        ("0", private, vec![1; 400]),
        ("1", PIXELS, vec![2; 32]),
        ("2", private, vec![3; 500]),
    ] {
        let text = small("", "", "", &of_instance("2.25.70101", attribute));
        let items = vec![binary(0, bytes)];
        let job = update(&server, &token, (&uuid, of), &text, items).await;
        let next = of.parse::<u32>().unwrap() + 1;
        changed(&job, &next.to_string());
    }
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "bid"), ["7", "6", "1", "2"]);
    let bytes = [item(0), vec![1; 400], vec![2; 32], vec![3; 500]];
    for (number, bytes) in [0, 5, 6, 7].into_iter().zip(&bytes) {
        let told = item_of(&server, &token, &uuid, number).await;
        assert_eq!((told.status, &told.body), (200, bytes), "{number}");
    }
    let answer = list(&server, &token, &uuid, "7,5-6,0").await;
    let found = read_by_lines(&answer, &uuid);
    let [first, private, pixels, last] = bytes;
    let expected = [(7, last), (5, private), (6, pixels), (0, first)];
    assert_eq!(found, expected);
}

/// A facility whose earlier versions are served keeps their items, one that replaces them does not.
#[tokio::test]
async fn mint_i05_t22_of_what_a_store_replaced_the_rule_of_the_facility_says_it() {
    for (rule, status) in [("replace", 404), ("keep-both-versions", 200)] {
        let server = Server::start();
        let rule = format!("on_conflict={rule}");
        server::kura(server.data.path(), &["facility", "set", "F001", &rule]);
        let token = person(&server);
        let uuid = made(&send(&server, &token, DOCUMENT, items()).await);
        assert_eq!(item_of(&server, &token, &uuid, 0).await.body, item(0));
        let [series, instance] = ["2.25.70011", "2.25.70101"];
        let path = format!("/studies/2.25.70010/series/{series}/instances/{instance}");
        let first = server.get_as(&path, &token, "application/dicom").await.body;
        let at = first.windows(32).position(|bytes| bytes == item(0));
        let mut other = first.clone();
        other[at.unwrap()] ^= 1;
        server.stored(&token, &[other]).await;
        let told = metadata(&server, &token, &uuid).await;
        let now: u32 = values(&told, "bid")[0].parse().unwrap();
        assert_ne!(now, 0);
        let told = item_of(&server, &token, &uuid, now).await;
        assert_eq!((told.status, told.body[0]), (200, item(0)[0] ^ 1));
        let told = item_of(&server, &token, &uuid, 0).await;
        assert_eq!(told.status, status, "{rule}");
        assert!(status == 404 || told.body == item(0));
        let both = list(&server, &token, &uuid, &format!("0,{now}")).await;
        assert_eq!(both.status, status, "{rule}");
    }
}

#[tokio::test]
async fn mint_i05_what_was_deleted_goes_with_all_that_it_was() {
    let (server, token, uuid) = example().await;
    replace(&server, &token, (&uuid, "0"), &[1; 32]).await;
    let gone = small(
        "",
        "",
        "",
        "<instance sopInstanceUID=\"2.25.70101\" transferSyntaxUID=\"1.2.840.10008.1.2.1\" exclude=\"true\"/>",
    );
    let job = update(&server, &token, (&uuid, "1"), &gone, Vec::new()).await;
    changed(&job, "2");
    for (asked, status) in [
        ("0", 404),
        ("5", 404),
        ("0,5", 404),
        ("0-5", 404),
        ("1", 200),
    ] {
        let answer = list(&server, &token, &uuid, asked).await;
        assert_eq!(answer.status, status, "{asked}");
    }
}
