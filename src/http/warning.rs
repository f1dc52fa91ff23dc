//! `Warning: 299 {base}: text` (S35): what was ignored or left out, in a header, since bodies have no place for it.

use actix_web::http::header::HeaderValue;

use super::urls::Urls;

/// The longest text of one warning, in bytes: clients stop at 4 to 16 KiB of headers.
const LONGEST_TEXT: usize = 1500;

/// The value of one `Warning` header. Whatever cannot stand in a header becomes a question mark.
#[expect(
    clippy::missing_panics_doc,
    reason = "cannot: both texts are visible ASCII"
)]
pub fn warning(urls: &Urls, text: &str) -> HeaderValue {
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let text: String = text.chars().map(visible).take(LONGEST_TEXT).collect();
    HeaderValue::try_from(format!("299 {}: {text}", urls.root()))
        .expect("base and text are visible ASCII by construction")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let urls = Urls::at("https://pacs.example/").unwrap();
        assert_eq!(warning(&urls, text), expected);
    }

    #[test]
    fn s35_a_warning_names_the_base() {
        check(
            "The fuzzymatching parameter is not supported. Only literal matching has been performed.",
            "299 https://pacs.example/dicomweb: \
             The fuzzymatching parameter is not supported. Only literal matching has been performed.",
        );
    }

    #[test]
    fn s35_a_warning_cannot_add_a_header() {
        check("a\r\nX: y", "299 https://pacs.example/dicomweb: a??X: y");
        check("山田", "299 https://pacs.example/dicomweb: ??");
        let urls = Urls::at("https://pacs.example").unwrap();
        assert!(warning(&urls, &"x".repeat(100_000)).len() < 1600);
    }
}
