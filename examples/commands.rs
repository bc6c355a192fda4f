//! Prints `commands.md`.

fn main() {
    print!("{}", redis_model::docs::commands_md());
}
