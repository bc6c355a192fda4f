//! Prints `commands.md`, or the page that is named with its tables of limits written anew.

use redis_model::docs;

fn main() {
    match std::env::args().nth(1) {
        None => print!("{}", docs::commands_md()),
        Some(path) => {
            let page = std::fs::read_to_string(path).expect("the page can be read");
            print!("{}", docs::with_limits(&page).expect("the page has the marks of the tables"));
        }
    }
}
