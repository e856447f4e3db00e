//! Speaks to git hosts for the tests, in a process of its own as the functions and the command do.

fn main() {
    remote::transfer_if_asked();
}
