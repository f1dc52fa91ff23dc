//! The table: what each server did, what kura has to reach beside it, and whether it does.

/// The figures of one kind of work, one a server.
#[derive(Debug)]
pub(crate) struct Row {
    pub work: String,
    /// Name of the server and what it did, with the unit.
    pub figures: Vec<(&'static str, String)>,
    pub aims: Vec<Aim>,
}

/// What kura has to reach in a row.
#[derive(Debug)]
pub(crate) struct Aim {
    pub what: String,
    pub got: f64,
    pub wanted: f64,
    /// Whether more is better.
    pub at_least: bool,
}

impl Aim {
    pub(crate) fn at_least(what: impl Into<String>, got: f64, wanted: f64) -> Self {
        let what = what.into();
        Self {
            what,
            got,
            wanted,
            at_least: true,
        }
    }

    pub(crate) fn at_most(what: impl Into<String>, got: f64, wanted: f64) -> Self {
        let what = what.into();
        Self {
            what,
            got,
            wanted,
            at_least: false,
        }
    }

    pub(crate) fn is_met(&self) -> bool {
        if self.at_least {
            self.got >= self.wanted
        } else {
            self.got <= self.wanted
        }
    }
}

/// All rows so far, printed as they come.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a program for the command line")]
    pub(crate) fn add(&mut self, row: Row) {
        println!("\n{}", row.work);
        for (server, figure) in &row.figures {
            println!("    {server:<18} {figure}");
        }
        for aim in &row.aims {
            println!("    {}", sentence(aim));
        }
        self.rows.push(row);
    }

    /// Prints the whole as a table; whether everything that was wanted was reached.
    #[expect(clippy::print_stdout, reason = "a program for the command line")]
    pub(crate) fn end(&self) -> bool {
        println!("\n| work | figures | wanted |\n| --- | --- | --- |");
        for row in &self.rows {
            let figures: Vec<String> = row
                .figures
                .iter()
                .map(|(server, figure)| format!("{server}: {figure}"))
                .collect();
            let aims: Vec<String> = row.aims.iter().map(sentence).collect();
            println!(
                "| {} | {} | {} |",
                row.work,
                figures.join("<br>"),
                aims.join("<br>")
            );
        }
        let aims = || self.rows.iter().flat_map(|row| &row.aims);
        let met = aims().filter(|aim| aim.is_met()).count();
        println!("\n{met} of {} aims met", aims().count());
        met == aims().count()
    }
}

fn sentence(aim: &Aim) -> String {
    let (word, sign) = (
        if aim.is_met() { "met" } else { "MISSED" },
        if aim.at_least { "≥" } else { "≤" },
    );
    format!(
        "{}: {:.2}, wanted {sign} {} ({word})",
        aim.what, aim.got, aim.wanted
    )
}
