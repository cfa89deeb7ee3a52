use bus::prelude::*;

use std::path::Path;

#[bus::payload]
struct Line {
    id: u32,
}

struct Db;

#[command]
fn text(name: &str, path: &Path, lines: &[Line], line: &Line, maybe: &Option<u32>) -> String {
    format!("{name}{}{}{}{}", path.display(), lines.len(), line.id, maybe.unwrap_or(0))
}

#[command]
fn patterns(mut a: u32, (b, c): (u32, u32), _: u8, _d: u8, r#type: u8) -> u32 {
    a += b;
    a + c + u32::from(r#type)
}

#[command]
fn once(number: u32, ctx: &Context) -> Result<u32, String> {
    let _ = ctx;
    Ok(number)
}

#[command]
async fn injected(ctx: &Context, id: u32, db: State<Db>, name: &str) -> Result<u32, String> {
    let _ = (ctx, db, name);
    Ok(id)
}

struct Callback(fn() -> u32);

/// Not `Clone`, which only `scatter` asks for.
#[command(local)]
fn call(callback: Callback) -> u32 {
    (callback.0)()
}

#[command]
fn nothing() {}

pub fn main() {
    let line = Line { id: 1 };
    let _ = text::execute("a", Path::new("b"), &[line.clone()], &line, &None).wait();
    let _ = patterns::execute(1, (2, 3), 4, 5, 6).wait();
    let _ = injected::dispatch(1, "a");
    let _: Result<(), ExecuteError> = nothing::execute().wait();
    let _ = call::execute(Callback(|| 7)).wait();
    let _ = nothing::scatter([()]);
    let _: bus::Gather<u32, u32, String> = once::scatter(1..3);
    let lines = vec![("a".to_owned(), "b".into(), vec![line.clone()], line, None)];
    let _ = text::scatter(lines).in_flight(1).all().wait();
    let several = patterns::scatter([(1, (2, 3), 4, 5, 6)]);
    let _: Vec<((u32, (u32, u32), u8, u8, u8), Result<u32, ExecuteError>)> = several.wait().collect();
    assert_eq!(patterns(1, (2, 3), 4, 5, 6), 12);
}
