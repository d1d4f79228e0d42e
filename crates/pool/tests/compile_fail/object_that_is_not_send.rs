use pool::{Pool, Reset};
use std::rc::Rc;

#[derive(Default)]
struct Counted(Option<Rc<u8>>);

impl Reset for Counted {
    fn reset(&mut self) {
        self.0 = None;
    }
}

fn main() {
    let pool: Pool<Counted> = Pool::new("counted", 1);
    std::thread::spawn(move || drop(pool.try_acquire()));
}
