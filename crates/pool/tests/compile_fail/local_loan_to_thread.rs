use pool::{LocalPool, doc::Note};

fn main() {
    let pool: LocalPool<Note> = LocalPool::new("notes", 1);
    let note = pool.try_acquire().unwrap();
    std::thread::spawn(move || drop(note));
}
