"""HTTP as plain as can be, for clients that share the machine with what they measure."""
