// A click on a column's name sorts by it, a second one the other way round. What has no value stays at the end.
"use strict";
for (const button of document.querySelectorAll("th button"))
    button.addEventListener("click", () => {
        const head = button.parentElement, row = head.parentElement, body = head.closest("table").tBodies[0];
        const place = [...row.children].indexOf(head);
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        const value = (line) => line.children[place].dataset.value;
        const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
        for (const other of row.children)
            other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        body.append(...[...body.rows].sort((a, b) => (value(a) === "") - (value(b) === "") || sign * compare(value(a), value(b))));
    });
