use pool::{Pool, doc::Note};

fn main() {
    let pool: Pool<Note> = Pool::new("notes", 1);
    let (queue, consumer) = std::sync::mpsc::channel::<&Note>();
    let reader = std::thread::spawn(move || consumer.recv().map(|note| note.text.len()));
    let note = pool.try_acquire().unwrap();
    queue.send(&note).unwrap();
    drop(note);
    let _ = reader.join();
}
