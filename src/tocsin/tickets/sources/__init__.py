"""What other systems export of their tickets, one small file per form: bytes in, `importing.Foreign` out."""
