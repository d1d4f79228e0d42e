use pool::{Pool, doc::Note};

fn main() {
    let pool: Pool<Note> = Pool::new("notes", 1);
    let note = pool.try_acquire().unwrap();
    let view: &str = &note.text;
    let consumer = std::thread::spawn(move || println!("{view}"));
    drop(note);
    consumer.join().unwrap();
}
