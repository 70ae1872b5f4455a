//! The pipeline language: parsing, checking, planning and running.
