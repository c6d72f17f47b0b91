"""What phases and commands print: lines, colours, sizes and progress."""
