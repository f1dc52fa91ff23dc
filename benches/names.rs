//! What it costs a store that its patient is new: his name and number are made findable (decision 0007).

use std::time::Instant;

use crate::harness::{Server, instance};
use crate::{ms, percentile};

/// Stores of each kind, one study each.
const SAMPLES: usize = 300;

/// Stores studies of one patient and of new ones in turn, and prints what they took. There is no budget.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
pub(crate) async fn run() -> bool {
    let server = Server::start();
    let token = server.reader("F001");
    let mut samples = [Vec::new(), Vec::new()];
    for n in 0..SAMPLES * 2 {
        let is_new = n % 2;
        let who = is_new * n;
        let name = format!("Yamada{who}^Hanako{who}=山田{who}^花子{who}=やまだ{who}^はなこ{who}");
        let file = instance(&format!("1.{n}"))
            .text(0x0010_0010, "PN", &name)
            .text(0x0010_0020, "LO", &format!("P{who:08}"))
            .file();
        let begun = Instant::now();
        server.stored(&token, &[file]).await;
        samples[is_new].push(begun.elapsed());
    }
    println!("| one study of | median ms | stores a second |\n| --- | --- | --- |");
    for (what, mut samples) in ["a known patient", "a new patient"]
        .into_iter()
        .zip(samples)
    {
        let median = ms(percentile(&mut samples, 50));
        println!("| {what} | {median:.2} | {:.0} |", 1000.0 / median);
    }
    true
}
