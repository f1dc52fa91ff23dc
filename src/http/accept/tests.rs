//! The rows of dicomweb.md 2.1 to 2.4, and what viewers send.

use actix_web::test::TestRequest;
use proptest::prelude::*;

use super::*;
use crate::error::Kind;

const JSON: &str = "application/dicom+json";
const OCTETS: &str = "application/octet-stream";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

/// Metadata of an instance, as R10 has it.
fn metadata() -> Vec<Offer<'static>> {
    vec![
        Offer::single(JSON),
        Offer::single("application/json"),
        Offer::multipart("application/dicom+xml"),
        Offer::single("application/dicom+xml"),
    ]
}

/// An instance stored in JPEG-LS.
fn instance() -> Vec<Offer<'static>> {
    vec![
        Offer::multipart("application/dicom").in_syntax(EXPLICIT),
        Offer::multipart("application/dicom")
            .in_syntax(JPEG_LS)
            .stored()
            .if_named(),
        Offer::single("application/dicom").in_syntax(EXPLICIT),
        Offer::single("application/dicom")
            .in_syntax(JPEG_LS)
            .stored()
            .if_named(),
    ]
}

/// One frame stored in JPEG-LS without loss: decoded octets are the default (N61).
fn lossless_frame() -> Vec<Offer<'static>> {
    vec![
        Offer::multipart(OCTETS).in_syntax(EXPLICIT),
        Offer::multipart("image/jls").in_syntax(JPEG_LS).stored(),
        Offer::multipart(OCTETS)
            .in_syntax(JPEG_LS)
            .stored()
            .if_named(),
        Offer::single(OCTETS).in_syntax(EXPLICIT),
        Offer::single("image/jls").in_syntax(JPEG_LS).stored(),
    ]
}

/// One frame stored in baseline JPEG: the stored form is the default (N61).
fn lossy_frame() -> Vec<Offer<'static>> {
    vec![
        Offer::multipart("image/jpeg")
            .in_syntax(JPEG_BASELINE)
            .stored(),
        Offer::multipart(OCTETS).in_syntax(EXPLICIT),
        Offer::multipart(OCTETS)
            .in_syntax(JPEG_BASELINE)
            .stored()
            .if_named(),
        Offer::single("image/jpeg")
            .in_syntax(JPEG_BASELINE)
            .stored(),
    ]
}

fn rendered() -> Vec<Offer<'static>> {
    ["image/jpeg", "image/png", "image/gif"]
        .map(Offer::single)
        .to_vec()
}

fn chosen(offers: &[Offer<'_>], header: &str, query: &str) -> Result<String> {
    let accept = Accept::parse(header, query);
    accept.choose(offers).map(ToString::to_string)
}

fn check(offers: &[Offer<'_>], header: &str, expected: usize) {
    let best = chosen(offers, header, "").unwrap_or_else(|error| error.detail().to_owned());
    assert_eq!(best, offers[expected].to_string(), "Accept: {header}");
}

fn refuse(offers: &[Offer<'_>], header: &str) {
    let error = chosen(offers, header, "").unwrap_err();
    assert_eq!(error.kind(), Kind::NotAcceptable, "Accept: {header}");
}

#[test]
fn n01_n02_n03_no_wish_is_the_default() {
    for header in ["", "  ", ",", "*/*"] {
        check(&metadata(), header, 0);
        check(&instance(), header, 0);
        check(&lossless_frame(), header, 0);
        check(&lossy_frame(), header, 0);
        check(&rendered(), header, 0);
    }
}

#[test]
fn n04_a_family_is_its_best_subtype() {
    check(&rendered(), "image/*", 0);
    check(&lossless_frame(), "image/*", 4);
    check(&metadata(), "application/*", 0);
    refuse(&rendered(), "video/*");
    refuse(&rendered(), "*/png");
}

#[test]
fn n05_multipart_without_a_type_is_the_default_of_the_resource() {
    check(&metadata(), "multipart/related", 2);
    check(&instance(), "multipart/related", 0);
    check(&lossless_frame(), "multipart/related", 0);
    check(&lossless_frame(), "multipart/*", 0);
    check(&instance(), "multipart/related; transfer-syntax=*", 1);
    refuse(&rendered(), "multipart/related");
    refuse(&instance(), "multipart/form-data");
}

#[test]
fn n06_n07_quotes_do_not_matter() {
    for header in [
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\"*\"",
    ] {
        check(&lossless_frame(), header, 2);
    }
}

#[test]
fn n08_wildcards_inside_multipart() {
    check(&lossless_frame(), "multipart/related; type=\"*/*\"", 0);
    check(&lossy_frame(), "multipart/related; type=\"*/*\"", 0);
    check(&lossless_frame(), "multipart/related; type=\"image/*\"", 1);
    refuse(&instance(), "multipart/related; type=\"image/*\"");
}

#[test]
fn n09_n10_spaces_matter_only_inside_quotes() {
    let spaced = "Multipart/Related ;TYPE =  \"application/dicom\"  , text/plain";
    check(&instance(), spaced, 0);
    refuse(
        &instance(),
        "multipart/related; type=\" application/dicom\"",
    );
}

#[test]
fn n11_the_first_of_equal_parameters_wins() {
    let header = "multipart/related; type=application/octet-stream; \
                  transfer-syntax=1.2.840.10008.1.2.1; transfer-syntax=*";
    check(&lossless_frame(), header, 0);
}

#[test]
fn n12_n13_elements_that_cannot_be_parsed_are_ignored() {
    check(&metadata(), "toto, application/dicom+json", 0);
    check(
        &metadata(),
        "multipart/related; type=, application/dicom+json",
        0,
    );
    check(&metadata(), "application/json, a/b; type=\"x", 1);
    refuse(&metadata(), "toto");
    let request = TestRequest::default()
        .append_header(("Accept", "toto"))
        .append_header(("Accept", "application/json"));
    let accept = Accept::from_request(&request.to_http_request(), &mut Payload::None);
    let accept = accept.into_inner().unwrap();
    assert_eq!(accept.choose(&metadata()).unwrap(), &metadata()[1]);
}

#[test]
fn n14_n15_what_does_not_apply_is_passed_over() {
    let header = "application/dicom+json, multipart/related; \
                  type=\"application/octet-stream\"; transfer-syntax=\"*\"";
    check(&metadata(), header, 0);
    check(&rendered(), "application/dicom, image/png", 1);
    check(&instance(), "image/jpeg, application/dicom", 2);
}

#[test]
fn n16_n20_other_parameters_are_ignored() {
    check(
        &instance(),
        "multipart/related; type=\"application/dicom\"; boundary=**",
        0,
    );
    check(
        &metadata(),
        "application/json; level=1; transfer-syntax=*",
        1,
    );
}

#[test]
fn n17_older_names_are_known() {
    check(&lossless_frame(), "multipart/related; type=image/x-jls", 1);
    check(
        &lossy_frame(),
        "multipart/related; type=image/dicom+jpeg",
        0,
    );
    check(&rendered(), "image/jpg", 0);
    refuse(&rendered(), "image/x-png");
}

#[test]
fn n18_n19_json_by_either_name_and_for_browsers() {
    check(&metadata(), "application/json", 1);
    check(&metadata(), "application/dicom+json, application/json", 0);
    let browser = "text/html, application/xhtml+xml, application/xml;q=0.9, image/webp, */*;q=0.8";
    check(&metadata(), browser, 0);
}

#[test]
fn n30_n31_the_closest_range_gives_the_weight() {
    check(&rendered(), "image/*;q=0.5, image/png;q=0.4, image/gif", 2);
    check(&rendered(), "image/*, image/jpeg;q=0", 1);
    check(&rendered(), "image/jpeg;q=x, image/gif;q=0.0001", 2);
    check(
        &instance(),
        "application/dicom;transfer-syntax=*;q=0.2, application/dicom",
        2,
    );
    refuse(&rendered(), "image/*;q=0");
    refuse(&rendered(), "*/*, image/*;q=0.0");
}

#[test]
fn n32_ties_go_to_stored_then_default_then_the_order_of_the_list() {
    let two = "multipart/related; type=application/octet-stream, multipart/related; type=image/jls";
    check(&lossless_frame(), two, 1);
    check(&rendered(), "image/png, image/jpeg", 0);
    check(&rendered(), "image/gif, image/png", 2);
}

#[test]
fn n33_a_weight_beats_what_is_stored() {
    let header = "multipart/related; type=\"image/jpeg\"; \
                  transfer-syntax=1.2.840.10008.1.2.4.50;q=0.5, \
                  multipart/related; type=\"application/octet-stream\"";
    check(&lossy_frame(), header, 1);
}

#[test]
fn n34_one_part_and_many_are_different_things() {
    let header = "application/dicom;q=0.9, multipart/related; type=\"application/dicom\"";
    check(&instance(), header, 0);
    check(&instance(), "application/dicom", 2);
    refuse(&instance()[..2], "application/dicom");
}

#[test]
fn n40_n43_the_parameter_is_read_before_the_header() {
    let best = |header: &str, query: &str| chosen(&rendered(), header, query).unwrap();
    assert_eq!(best("image/jpeg", "accept=image%2Fpng"), "image/png");
    assert_eq!(best("image/png", "accept=video/mp4"), "image/png");
    assert_eq!(
        best("image/png", "Accept=image/gif&contentType=image/gif"),
        "image/png"
    );
    assert_eq!(
        best("", "accept=video/mp4&x=1&accept=image/gif"),
        "image/gif"
    );
    assert_eq!(best("image/png", "accept=%FF"), "image/png");
    let json = chosen(
        &metadata(),
        "application/json",
        "accept=application/dicom+json",
    );
    assert_eq!(json.unwrap(), JSON);
}

#[test]
fn n44_character_sets_of_json_and_xml() {
    for query in [
        "charset=utf-8",
        "charset=ISO_IR+192",
        "charset=*",
        "charset=x,UTF-8;q=0.1",
        "charset=",
    ] {
        assert!(chosen(&metadata(), "", query).is_ok(), "{query}");
    }
    let refused = chosen(&metadata(), "", "charset=iso-8859-1").unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(chosen(&rendered(), "", "charset=iso-8859-1").is_ok());
}

#[test]
fn n45_n60_parts_say_what_they_are() {
    assert_eq!(
        instance()[0].content_type(),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    );
    assert_eq!(
        Offer::single("text/html").content_type(),
        "text/html; charset=utf-8"
    );
    assert_eq!(Offer::single(JSON).content_type(), JSON);
}

#[test]
fn n50_n53_a_transfer_syntax_is_any_the_default_or_named() {
    check(
        &instance(),
        "multipart/related;type=\"application/dicom\";transfer-syntax=*",
        1,
    );
    check(
        &instance(),
        "multipart/related; type=\"application/dicom\"",
        0,
    );
    check(
        &lossless_frame(),
        "multipart/related; type=\"application/octet-stream\"",
        0,
    );
    check(&lossy_frame(), "multipart/related; type=\"image/jpeg\"", 0);
    check(
        &instance(),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80",
        3,
    );
}

#[test]
fn n57_s13_a_refusal_names_what_there_is() {
    let header =
        "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.90";
    let error = chosen(&instance()[..2], header, "").unwrap_err();
    assert_eq!(
        error.detail(),
        "none of the accepted types can be made; acceptable: \
         multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.1, \
         multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.80"
    );
}

#[test]
fn lists_of_slide_viewers_find_the_stored_form() {
    let header = "multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.80, \
                  multipart/related; type=image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90, \
                  multipart/related; type=application/octet-stream; transfer-syntax=*, \
                  multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50";
    check(&lossy_frame(), header, 0);
    check(&lossless_frame(), header, 1);
}

proptest! {
    #[test]
    fn any_header_gives_an_offer_or_a_refusal(
        header in prop_oneof![".*", "((\\*|image|multipart)/(\\*|png|related)(;[a-z-]{1,5}=[^,]{0,9})?,?){0,5}"],
        query in ".*",
    ) {
        if let Err(error) = chosen(&lossy_frame(), &header, &query) {
            prop_assert_eq!(error.kind(), Kind::NotAcceptable);
        }
    }
}

#[test]
fn n50_any_transfer_syntax_and_nothing_else_is_told_from_a_choice() {
    let check = |header: &str, query: &str, expected: bool| {
        let accept = Accept::parse(header, query);
        assert_eq!(
            accept.is_any_syntax_of("application/dicom"),
            expected,
            "{header} {query}"
        );
    };
    let any = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    check(any, "", true);
    check(&any.replace('"', ""), "", true);
    check(&format!("{any}; q=0.5"), "", true);
    check(&format!("{any}; q=0"), "", false);
    check(&format!("{any}, */*"), "", false);
    check(
        &format!("{any}, {}", any.replace('*', "1.2.840.10008.1.2.1")),
        "",
        false,
    );
    check(&any.replace("; transfer-syntax=*", ""), "", false);
    check(&any.replace("application/dicom", "image/jpeg"), "", false);
    check("application/dicom; transfer-syntax=*", "", false);
    check("*/*", "", false);
    check(any, "accept=application/dicom", false);
}
