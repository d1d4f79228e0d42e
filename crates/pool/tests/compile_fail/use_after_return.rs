use pool::{Pool, doc::Note};

fn main() {
    let pool: Pool<Note> = Pool::new("notes", 1);
    let note = pool.try_acquire().unwrap();
    let text = &note.text;
    drop(note);
    println!("{text}");
}
