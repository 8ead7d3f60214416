"use strict";
{
  const form = document.getElementById("answers-filter");
  const rows = [...document.getElementById("answers").tBodies[0].rows];
  const columns = { kind: 0, label: 1, answer: 2 };
  for (const [name, at] of Object.entries(columns)) {
    const values = new Set(rows.map((row) => row.cells[at].textContent));
    for (const value of [...values].sort()) form.elements[name].append(new Option(value, value));
  }
  const fits = (row) =>
    row.textContent.toLowerCase().includes(form.elements.words.value.toLowerCase()) &&
    Object.entries(columns).every(([name, at]) =>
      ["", row.cells[at].textContent].includes(form.elements[name].value));
  const filter = () => {
    for (const row of rows) row.hidden = !fits(row);
    form.elements.shown.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
