"""Expressions of JavaScript with which tests look at a page: its controls, and its colours."""

# All that the keyboard can be on, in the document's order.
CONTROLS = """(() => {
  window.controls = [...document.querySelectorAll(
    'a[href], button, input, select, summary, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !one.disabled);
  return controls.length;
})()"""
# Where it is, and the outline that shows it.
FOCUS = """(() => {
  const at = document.activeElement;
  const style = getComputedStyle(at);
  return {place: controls.indexOf(at), text: at.outerHTML.slice(0, 60),
          scrolls: at.scrollWidth > at.clientWidth || at.scrollHeight > at.clientHeight,
          style: style.outlineStyle, width: parseFloat(style.outlineWidth)};
})()"""

# Each text that is seen, with less contrast than WCAG's 4.5 to what is behind it.
CONTRASTS = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const text = element.namespaceURI.endsWith('svg') ? style.fill : style.color;
    const [one, two] = [light(rgb(text)), light(behind(element))];
    const contrast = (Math.max(one, two) + .05) / (Math.min(one, two) + .05);
    if (contrast < 4.5) poor.add(`${contrast.toFixed(2)} ${element.tagName} ${
      element.className} ${walker.currentNode.textContent.slice(0, 30)}`);
  }
  return [...poor];
})()"""
