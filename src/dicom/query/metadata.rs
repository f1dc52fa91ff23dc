//! What a request for metadata asks for beside its resource: fewer attributes, or values in the place of links (X10, J36).

use super::decode::{Plus, decode, pairs};
use super::names::{Name, Parameter, private};
use super::{Fields, Query};
use crate::dicom::visit::is_creator;
use crate::error::{Error, Result};
use crate::model::{BulkForm, Level, Tag};

/// What names an instance, and the character set: it stays whatever is asked for.
const ALWAYS: [Tag; 5] = [
    Tag(0x0008, 0x0005),
    Tag(0x0008, 0x0016),
    Tag(0x0008, 0x0018),
    Tag(0x0020, 0x000D),
    Tag(0x0020, 0x000E),
];

/// What becomes of private attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Private {
    /// They are shown.
    #[default]
    Shown,
    /// They are left out, those in sequences too.
    LeftOut,
}

/// A checked query string of a request for metadata.
#[derive(Clone, Debug, Default)]
pub struct MetadataQuery {
    /// The attributes that are wanted; all where none is named.
    pub fields: Option<Fields>,
    /// What becomes of private ones.
    pub private: Private,
    /// What stands for values that are too long, where the request says it.
    pub bulk: Option<BulkForm>,
    /// What was ignored: the texts of `Warning: 299`.
    pub warnings: Vec<String>,
}

impl MetadataQuery {
    /// Checks a query string. `includefield` is read as in a search for instances, private attributes with their creators
    /// included (Q80 to Q85); names that mean nothing for metadata are passed over.
    ///
    /// # Errors
    /// `Kind::Invalid` for a value that its name cannot take.
    pub fn parse(raw_query: &str) -> Result<Self> {
        let mut asked = Self::default();
        let mut fields = String::new();
        let (mut names_fields, mut has_private) = (false, false);
        for (raw_name, raw_value) in pairs(raw_query) {
            let name = decode(raw_name, Plus::Space)?;
            let is_field = Name::of(&name) == Name::Parameter(Parameter::IncludeField);
            if is_field || private(&name).is_some_and(is_creator) {
                names_fields |= is_field && !raw_value.is_empty();
                fields.extend([raw_name, "=", raw_value, "&"]);
            } else if name.eq_ignore_ascii_case("excludeprivate") {
                once(&mut has_private, "excludeprivate")?;
                asked.private = match &*decode(raw_value, Plus::Space)? {
                    "true" => Private::LeftOut,
                    "false" => Private::Shown,
                    _ => return Err(Error::invalid("excludeprivate is true or false")),
                };
            } else if name == "bulkdata" {
                once(&mut asked.bulk.is_some(), "bulkdata")?;
                let form = BulkForm::parse(&decode(raw_value, Plus::Space)?);
                let takes = || Error::invalid("bulkdata is uri or inline");
                asked.bulk = Some(form.ok_or_else(takes)?);
            }
        }
        if names_fields {
            let query = Query::parse(Level::Instance, None, None, &fields)?;
            asked.warnings = query.warnings;
            asked.fields = (!query.fields.all).then_some(query.fields);
        }
        if let Some(fields) = &mut asked.fields {
            fields.tags.extend(ALWAYS);
        }
        Ok(asked)
    }
}

/// Refuses what is given a second time.
fn once(was_given: &mut bool, name: &str) -> Result<()> {
    if std::mem::replace(was_given, true) {
        return Err(Error::invalid(format!("{name} is given twice")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> MetadataQuery {
        MetadataQuery::parse(query).unwrap()
    }

    #[test]
    fn x10_fields_are_read_as_in_a_search() {
        assert!(parse("").fields.is_none() && parse("includefield=").fields.is_none());
        assert!(parse("includefield=00100020,all").fields.is_none());
        let fields = parse("includefield=PatientID%2C00400275.00400009&includeField=Rows");
        assert_eq!(fields.warnings, Vec::<String>::new());
        let fields = fields.fields.unwrap();
        for tag in [Tag(0x0010, 0x0020), Tag(0x0028, 0x0010)]
            .into_iter()
            .chain(ALWAYS)
        {
            assert!(fields.tags.contains(&tag), "{tag}");
        }
        assert_eq!(fields.paths.len(), 1);
        let private = parse("00230010=ACME&includefield=00231002").fields.unwrap();
        assert_eq!(private.private, [(Tag(0x0023, 0x1002), "ACME".to_owned())]);
        let odd = parse("includefield=Rubbish,00231002&PatientID=1&limit=x");
        assert_eq!(odd.warnings.len(), 1);
        assert!(odd.warnings[0].contains("Rubbish") && odd.warnings[0].contains("00231002"));
    }

    #[test]
    fn x10_j36_switches_take_two_words_and_once() {
        assert_eq!(parse("excludeprivate=true").private, Private::LeftOut);
        assert_eq!(parse("excludePrivate=false").private, Private::Shown);
        assert_eq!(parse("bulkdata=inline").bulk, Some(BulkForm::Inline));
        assert_eq!(parse("bulkdata=uri").bulk, Some(BulkForm::Uri));
        for bad in [
            "excludeprivate=",
            "excludeprivate=1",
            "excludeprivate=true&excludeprivate=true",
            "bulkdata=array",
            "bulkdata=uri&bulkdata=uri",
            "includefield=%FF",
        ] {
            assert!(MetadataQuery::parse(bad).is_err(), "{bad}");
        }
    }
}
