//! Prints every fault that the tests have tried, as a table in Markdown.

use std::io;

use handover_tests::faults_table;

fn main() -> io::Result<()> {
    print!("{}", faults_table::table(&faults_table::all()?));
    Ok(())
}
