/** Colours of the style sheet as a canvas needs them: in the theme that is shown, as `rgb(…)`. */
export function inked(box: HTMLElement, property: string): string {
  const probe = document.createElement('i');
  probe.hidden = true;
  probe.style.color = `var(${property})`;
  box.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** The same with that much of it left. */
export function faded(colour: string, share: number): string {
  return colour.replace('rgb(', 'rgba(').replace(')', `, ${share})`);
}
