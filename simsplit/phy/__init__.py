"""The air: fading and path loss, link tables, the exact coded link, the analog (JSCC) interface."""
