"use strict";
for (const compare of document.querySelectorAll(".compare")) {
  const slider = compare.querySelector("input");
  const plates = compare.querySelector(".plates");
  const show = () => {
    plates.style.setProperty("--at", slider.value + "%");
    slider.setAttribute("aria-valuetext",
      slider.value + " % sharp from the left, " + (100 - slider.value) + " % long exposure");
  };
  const follow = (event) => {
    const box = plates.getBoundingClientRect();
    slider.value = Math.round(100 * (event.clientX - box.left) / box.width);
    show();
  };
  compare.classList.add("on");
  slider.addEventListener("input", show);
  plates.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    plates.setPointerCapture(event.pointerId);
    follow(event);
  });
  plates.addEventListener("pointermove", (event) => {
    if (plates.hasPointerCapture(event.pointerId)) follow(event);
  });
  show();
}
for (const button of document.querySelectorAll("button[data-copies]")) {
  const said = document.getElementById(button.dataset.copies + "-said");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(text.textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      said.textContent = "Selected: press Ctrl+C to copy.";
    }
  });
}
