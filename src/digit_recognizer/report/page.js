"use strict";
// Tables of class "sorts": a click on a column head sorts by the column, another click reverses the order.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const number = (text) => (text === "" ? NaN : Number(text));
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const [m, n] = [number(x), number(y)];
        if (Number.isNaN(m) && Number.isNaN(n)) return (down ? -1 : 1) * x.localeCompare(y);
        if (Number.isNaN(m) || Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1; // unknown values come last
        return down ? n - m : m - n;
      });
      table.tBodies[0].append(...rows);
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
// Galleries: the button of a digit shows only the images of that digit.
for (const choice of document.querySelectorAll("fieldset[data-gallery]")) {
  const images = document.getElementById(choice.dataset.gallery).children;
  choice.hidden = false;
  choice.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const other of choice.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
    for (const image of images) image.hidden = button.value !== "" && image.dataset.digit !== button.value;
  });
}
