use pool::{Pool, Pooled, doc::Note};

fn main() {
    let pool: Pool<Note> = Pool::new("notes", 1);
    let note = pool.try_acquire().unwrap();
    let copy: Pooled<Note> = note.clone();
    drop((note, copy));
}
