//! The suite that checks any provider against the contract.
