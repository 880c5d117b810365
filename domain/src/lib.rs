//! What may happen in Knitfab, and nothing else.
//!
//! People upload Data, register Plans, and Knitfab starts a Run for every combination of Data that
//! fits a Plan. This crate decides. It is given what has happened (events) and what is wanted
//! (commands), and answers with new events or with a refusal that names the rule. It never reads a
//! clock, draws a random number, opens a file or asks the network: time, ids and chance come in as
//! arguments, so every decision can be tested in three lines and replayed for ever.
//!
//! The modules, in reading order.

pub mod id;
pub mod tag;
pub mod time;

pub mod event;
pub mod reservation;

pub mod decision;

pub mod plan;

pub mod catalog;
pub mod matching;

pub mod data;

pub mod run;

pub mod agent;

pub mod journal;
pub mod redaction;
