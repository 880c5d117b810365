//! Promises that are kept by running both programs from outside, one module for each kind of promise.

mod architecture;
