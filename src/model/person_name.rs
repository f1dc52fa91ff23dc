//! Person names (PS3.5 6.2.1): up to three groups, alphabetic, ideographic, phonetic, each of up to five components.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The groups of a name as stored: alphabetic, ideographic, phonetic; absent ones are empty.
pub fn groups(name: &str) -> [&str; 3] {
    let mut parts = name.splitn(4, '=');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Folds one group for comparison: compatibility forms made equal (NFKC), case and accents dropped, hiragana made katakana,
/// trailing empty components and spaces cut (dicomweb.md Q50, Q53, Q54). Wildcards pass through.
pub fn fold(group: &str) -> String {
    let mut folded = String::with_capacity(group.len());
    for c in group
        .nfkc()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
    {
        folded.push(katakana(c));
    }
    // Kana voicing marks are combining marks as well and carry the reading: only marks over letters of alphabets go.
    let plain: String = folded
        .nfd()
        .filter(|c| !is_combining_mark(*c) || matches!(c, '\u{3099}' | '\u{309A}'))
        .nfc()
        .collect();
    let components: Vec<&str> = plain.split('^').map(str::trim).collect();
    components.join("^").trim_end_matches('^').to_owned()
}

/// Hiragana as katakana; everything else as it is.
fn katakana(c: char) -> char {
    match c {
        '\u{3041}'..='\u{3096}' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(group: &str, folded: &str) {
        assert_eq!(fold(group), folded, "{group:?}");
        assert_eq!(fold(folded), folded, "folding again changes nothing");
    }

    #[test]
    fn names_that_people_take_for_equal_fold_to_one_key() {
        check("Doe^John", "DOE^JOHN");
        check("DOE^JOHN^^^", "DOE^JOHN");
        check(" doe ^ john ", "DOE^JOHN");
        check("Müller^Jürgen", "MULLER^JURGEN");
        check("гусева", "ГУСЕВА");
        check("やまだ^たろう", "ヤマダ^タロウ");
        check("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ");
        check("がぎぐ", "ガギグ");
        check("山田^太郎", "山田^太郎");
        check("ＹＡＭＡＤＡ*", "YAMADA*");
        check("Straße", "STRASSE");
        check("", "");
    }

    #[test]
    fn groups_are_split_at_equals_signs() {
        assert_eq!(
            groups("Yamada^Tarou=山田^太郎=やまだ^たろう")[2],
            "やまだ^たろう"
        );
        assert_eq!(groups("=山田"), ["", "山田", ""]);
        assert_eq!(groups("A=B=C=D=E"), ["A", "B", "C"]);
    }
}
