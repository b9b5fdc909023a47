"""An SVG chart of how many times better the first server is, figure by figure."""
import math
from xml.sax.saxutils import escape

ROW, LABEL, BAR, NOTE, MARGIN, TOP = 18, 270, 420, 300, 14, 54
MOST = 1000  # the scale is logarithmic and ends there


def position(factor):
    """Of a factor on the scale, in pixels from its middle, which is 1."""
    bound = math.log10(min(max(factor, 1 / MOST), MOST))
    return bound / math.log10(MOST) * BAR / 2


def draw(title, rows, path):
    """`rows`: (figure, factor or None, note) from the top down."""
    width = MARGIN * 2 + LABEL + BAR + NOTE
    height = TOP + ROW * len(rows) + MARGIN
    middle = MARGIN + LABEL + BAR / 2
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{MARGIN}" y="20" font-size="14">{escape(title)}</text>']
    for power in range(-3, 4):
        x = middle + position(10.0 ** power)
        color = "#444" if power == 0 else "#ddd"
        name = f"{10 ** power}" if power >= 0 else f"1/{10 ** -power}"
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - MARGIN}" '
                     f'stroke="{color}"/>')
        lines.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle" '
                     f'fill="#666">{name}</text>')
    for number, (figure, factor, note) in enumerate(rows):
        y = TOP + ROW * number
        lines.append(f'<text x="{MARGIN + LABEL - 8}" y="{y + 12}" '
                     f'text-anchor="end">{escape(figure)}</text>')
        if factor:
            shift = position(factor)
            lines.append(f'<rect x="{min(middle, middle + shift):.1f}" y="{y + 2}" '
                         f'width="{abs(shift):.1f}" height="{ROW - 5}" '
                         f'fill="{"#2a7f62" if factor >= 1 else "#b5483a"}"/>')
        lines.append(f'<text x="{MARGIN + LABEL + BAR + 8}" y="{y + 12}" '
                     f'fill="#444">{escape(note)}</text>')
    path.write_text("\n".join([*lines, "</svg>", ""]))
