"""What the benches' programs make for eyes: the figures' tables, plots and page, and flame graphs."""
