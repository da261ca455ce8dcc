// What a flame graph does: a click on a frame makes it as wide as the picture, one on the bottom frame shows all again, and the search
// box marks what matches. bench/flame.py puts this into the picture.
"use strict";
(() => {
    const own = document.currentScript || document.querySelector("script[data-letter]");
    const margin = +own.dataset.margin, width = own.dataset.width - 2 * margin, letter = +own.dataset.letter;
    const frames = [...document.querySelectorAll(".frame")].map((group) => ({
        group, rect: group.querySelector("rect"), text: group.querySelector("text"), name: group.dataset.name,
        left: +group.dataset.left, part: +group.dataset.part, depth: +group.dataset.depth,
    }));
    const tiny = 1e-6; // what rounding may have moved an edge by

    function label(name, room) {
        const letters = Math.floor((room - 6) / letter);
        return name.length <= letters ? name : letters > 2 ? name.slice(0, letters - 1) + "…" : "";
    }

    function place(frame, left, part) {
        frame.rect.setAttribute("x", margin + left * width);
        frame.rect.setAttribute("width", part * width);
        frame.text.setAttribute("x", margin + left * width + 3);
        frame.text.textContent = label(frame.name, part * width);
    }

    function zoom(to) {
        for (const frame of frames) {
            const is_within = frame.left >= to.left - tiny && frame.left + frame.part <= to.left + to.part + tiny;
            const is_around = frame.depth < to.depth && frame.left <= to.left + tiny && frame.left + frame.part >= to.left + to.part - tiny;
            const is_shown = is_around || (is_within && frame.depth >= to.depth);
            frame.group.style.display = is_shown ? "" : "none";
            frame.group.classList.toggle("around", is_around);
            if (is_around)
                place(frame, 0, 1);
            else if (is_shown)
                place(frame, (frame.left - to.left) / to.part, frame.part / to.part);
        }
    }

    // The share of all that is in frames that match: of those that stand on each other only the lowest one counts.
    function share(found) {
        const outermost = found.filter((frame) => !found.some((other) => other.depth < frame.depth && other.left <= frame.left + tiny &&
            other.left + other.part >= frame.left + frame.part - tiny));
        return outermost.reduce((sum, frame) => sum + frame.part, 0);
    }

    function search(words) {
        let pattern = null;
        try {
            pattern = words === "" ? null : new RegExp(words, "i");
        } catch (error) {
            // half of an expression: it is still being typed
        }
        const found = frames.filter((frame) => pattern !== null && pattern.test(frame.name));
        frames.forEach((frame) => frame.group.classList.remove("found"));
        found.forEach((frame) => frame.group.classList.add("found"));
        document.getElementById("found").textContent = pattern === null ? "" : `found: ${(100 * share(found)).toFixed(2)} %`;
    }

    frames.forEach((frame) => frame.group.addEventListener("click", () => zoom(frame)));
    document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
})();
