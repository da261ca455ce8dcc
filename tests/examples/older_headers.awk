# Make yesterday of a public header: take the last member of each table that may grow out of it.
#
# Usage: awk -f older_headers.awk weft/loop.h > older/weft/loop.h. Members are one line each; comments between them stay.

/^struct weft_(loop_kind|poller_ops|transport_ops|make_socket) \{$/ { is_table = 1; count = 0 }

is_table {
    lines[count++] = $0
    if ($0 ~ /;/ && $0 !~ /^\};/ && $0 !~ /^ *\*/) {
        last = count - 1
    }
    if ($0 ~ /^\};/) {
        for (i = 0; i < count; i++) {
            if (i != last) {
                print lines[i]
            }
        }
        is_table = 0
    }
    next
}

{ print }
