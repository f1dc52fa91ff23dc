use proptest::prelude::*;

use super::*;

fn check(charset: &str, vr: VR, bytes: &[u8], text: &str) {
    let charset = Charset::of(charset.as_bytes());
    let expected = Decoded {
        text: text.to_owned(),
        replaced: false,
    };
    assert_eq!(charset.decode(bytes, vr), expected);
    assert!(charset.is_known());
}

fn check_replaced(charset: &str, vr: VR, bytes: &[u8], text: &str) {
    let decoded = Charset::of(charset.as_bytes()).decode(bytes, vr);
    assert_eq!(decoded.text, text);
    assert!(decoded.replaced);
}

#[test]
fn names_of_ps3_5_annexes_h_to_k() {
    // H.3.1: the second byte of ま is 5E, a caret.
    check(
        "\\ISO 2022 IR 87",
        VR::PN,
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    );
    // H.3.2
    check(
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        VR::PN,
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    );
    // I.2
    check(
        "\\ISO 2022 IR 149",
        VR::PN,
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    );
    // J.3, J.4
    check(
        "ISO_IR 192",
        VR::PN,
        "Wang^XiaoDong=王^小東=".as_bytes(),
        "Wang^XiaoDong=王^小東=",
    );
    check(
        "GB18030",
        VR::PN,
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    );
    // K.2
    check(
        "\\ISO 2022 IR 58",
        VR::PN,
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    );
}

#[test]
fn j17_single_sets() {
    for (term, bytes, text) in [
        ("ISO_IR 100", &b"Buc^J\xe9r\xf4me"[..], "Buc^Jérôme"),
        ("ISO_IR 101", b"\xb6", "ś"),
        ("ISO_IR 109", b"\xb1", "ħ"),
        ("ISO_IR 110", b"\xf3", "ķ"),
        (
            "ISO_IR 144",
            b"\xbb\xee\xda\x63\x65\xdc\xd1\x79\x70\xd3",
            "Люкceмбypг",
        ),
        (
            "ISO_IR 127",
            b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1",
            "قباني^لنزار",
        ),
        (
            "ISO_IR 126",
            b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2",
            "Διονυσιος",
        ),
        (
            "ISO_IR 138",
            b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4",
            "שרון^דבורה",
        ),
        ("ISO_IR 148", b"\xd0", "Ğ"),
        ("ISO_IR 203", b"\xa4", "€"),
        ("ISO_IR 166", b"\xa1", "ก"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ("GBK", b"\x81\x40", "丂"),
        ("", b"ASCII", "ASCII"),
    ] {
        check(term, VR::PN, bytes, text);
    }
}

#[test]
fn j17_escapes_switch_sets_and_delimiters_switch_back() {
    let latin_and_greek = "ISO 2022 IR 100\\ISO 2022 IR 126";
    check(
        latin_and_greek,
        VR::LO,
        b"\xe9\x1b-F\xe9\\\xe9\x1b-F\xe9\x1b-A\xe9",
        "éι\\éιé",
    );
    check(
        latin_and_greek,
        VR::LT,
        b"\x1b-F\xe9\\\xe9\r\n\xe9\t\x1b-F\xe9",
        "ι\\ι\r\né\tι",
    );
    // A caret is a delimiter in names only.
    check(latin_and_greek, VR::PN, b"\x1b-F\xe9^\xe9=\xe9", "ι^é=é");
    check(latin_and_greek, VR::LO, b"\x1b-F\xe9^\xe9=\xe9", "ι^ι=ι");
    check(
        "\\ISO 2022 IR 87\\ISO 2022 IR 159",
        VR::LO,
        b"\x1b$B0l\x1b$(D0!\x1b(B 1",
        "一丂 1",
    );
}

#[test]
fn j16_a_second_byte_5c_is_no_separator() {
    check("\\ISO 2022 IR 87", VR::LO, b"\x1b$B8\\\x1b(B\\b", "顧\\b");
    check("GB18030", VR::LO, b"\xd5\\\\b", "誠\\b");
    check("GBK", VR::PN, b"\xd5\\^b", "誠^b");
}

#[test]
fn yen_and_overline_of_jis_x_0201_are_no_ascii() {
    check("ISO_IR 13", VR::ST, b"\\100 ~", "\u{A5}100 \u{203E}");
    // A separator stays a separator, and a URI knows no character sets.
    check("ISO_IR 13", VR::LO, b"a\\b", "a\\b");
    check(
        "ISO_IR 13",
        VR::UR,
        b"http://a.example/~b",
        "http://a.example/~b",
    );
}

#[test]
fn terms_are_forgiven_their_spelling() {
    for term in [
        "iso_ir 192",
        "ISO_IR192",
        "ISO-IR 192 ",
        "ISO IR 192\0",
        "ISO 2022 IR 192",
    ] {
        check(term, VR::LO, "é".as_bytes(), "é");
    }
    check("ISO_2022_IR_100", VR::LO, b"\xe9", "é");
    // One set of code extensions alone, without the empty value in front.
    check("ISO 2022 IR 87", VR::LO, b"\x1b$B0l\x1b(B", "一");
    for term in ["ISO_IR 999", "LATIN1", "\\ISO 2022 IR 99999999"] {
        let charset = Charset::of(term.as_bytes());
        assert!(!charset.is_known(), "{term}");
        assert_eq!(charset.decode(b"a", VR::LO).text, "a");
    }
}

#[test]
fn senders_that_do_not_designate_again_are_understood() {
    check(
        "\\ISO 2022 IR 149",
        VR::PN,
        b"\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7",
        "洪^吉洞",
    );
    // Escapes without any declaration, as old devices send them.
    check("", VR::LO, b"\x1b$B0l\x1b(B", "一");
}

#[test]
fn j18_bytes_that_mean_nothing_are_replaced() {
    check_replaced("", VR::LO, b"J\xe9r", "J\u{FFFD}r");
    check_replaced("ISO_IR 192", VR::LO, b"J\xe9r", "J\u{FFFD}r");
    check_replaced("GB18030", VR::LO, b"\xff", "\u{FFFD}");
    check_replaced("\\ISO 2022 IR 87", VR::LO, b"\x1b$B0", "\u{FFFD}");
    check_replaced("\\ISO 2022 IR 149", VR::LO, b"\x1b$)C\xfb", "\u{FFFD}");
    check_replaced("ISO_IR 13", VR::LO, b"\xa0", "\u{FFFD}");
    // An escape sequence for a set that is not known goes as a whole.
    check_replaced("ISO 2022 IR 100", VR::LO, b"a\x1b$+Qb", "a\u{FFFD}b");
    check_replaced("ISO 2022 IR 100", VR::LO, b"a\x1b", "a\u{FFFD}");
}

#[test]
fn other_representations_are_ascii_unless_they_cannot_be() {
    check("ISO_IR 100", VR::CS, b"A\\B", "A\\B");
    check("ISO_IR 100", VR::CS, b"\xc9", "É");
    check_replaced("", VR::CS, b"\xc9", "\u{FFFD}");
}

proptest! {
    #[test]
    fn any_bytes_in_any_set_are_some_text(
        terms in "(ISO_IR|ISO 2022 IR|GBK|\\\\){0,3} ?(6|13|58|87|100|149|159|166|192)?",
        bytes in proptest::collection::vec(
            prop_oneof![Just(0x1B), Just(b'$'), Just(b')'), Just(b'\\'), any::<u8>()], 0..64),
        vr in prop_oneof![Just(VR::PN), Just(VR::LO), Just(VR::LT), Just(VR::CS)],
    ) {
        let decoded = Charset::of(terms.as_bytes()).decode(&bytes, vr);
        prop_assert!(decoded.text.chars().count() <= bytes.len());
    }
}
