use pool::{Pool, doc::Note};

fn main() {
    let pool: Pool<Note> = Pool::new("notes", 1);
    let note = pool.acquire(pool::DEFAULT_DEADLINE).unwrap();
    drop(note);
    drop(note);
}
