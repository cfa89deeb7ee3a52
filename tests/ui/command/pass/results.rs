use bus::prelude::*;

use std::fmt;

type Text<T> = std::result::Result<T, String>;

#[command]
fn both() -> Result<u32, String> {
    Ok(1)
}

#[command]
fn absolute() -> ::std::result::Result<u32, fmt::Error> {
    Ok(1)
}

#[command]
fn one() -> std::io::Result<u32> {
    Ok(1)
}

#[command]
fn none() -> fmt::Result {
    Ok(())
}

#[command]
fn of_the_bus() -> bus::Result<u32> {
    Ok(1)
}

#[command]
fn boxed() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Ok(1)
}

#[command]
fn inside() -> Vec<Text<u32>> {
    vec![Ok(1)]
}

#[command]
fn without_display() -> Result<u32, Opaque> {
    Err(Opaque)
}

#[derive(Debug)]
struct Opaque;

pub fn main() {
    let _: Result<u32, ExecuteError<String>> = both::execute().wait();
    let _: Result<u32, ExecuteError<fmt::Error>> = absolute::execute().wait();
    let _: Result<u32, ExecuteError<std::io::Error>> = one::execute().wait();
    let _: Result<(), ExecuteError<fmt::Error>> = none::execute().wait();
    let _: Result<u32, ExecuteError<bus::Error>> = of_the_bus::execute().wait();
    let _ = (boxed::execute(), inside::execute(), without_display::execute());
}
