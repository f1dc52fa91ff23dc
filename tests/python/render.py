"""Pictures of kura against pictures made here with pydicom and numpy, from the text of the standard.

    render.py LIST [SHEET]

LIST is JSON: [{"name": ..., "file": ..., "png": ..., "frame": 0, "colors": null}], frames from 0; "colors" is the iccprofile that was
asked for. For each a line is printed: the mean absolute
difference in grey levels and the name. The last line counts. SHEET is where a contact sheet of the pictures goes, each beside
the one made here.
"""

import io
import json
import sys

import numpy as np
import pydicom
from PIL import Image, ImageCms
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

# The mean difference that rounding may cause.
LIMIT = 1.5
THUMB = 160


def group(ds, frame, keyword):
    """The item of a functional group: of the frame, else shared."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        items = getattr(ds, groups, [])
        at = frame if groups.startswith("Per") else 0
        if at < len(items):
            found = getattr(items[at], keyword, None)
            if found:
                return found[0]
    return None


def first(value):
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)


def modality(ds, frame, stored):
    item = group(ds, frame, "PixelValueTransformationSequence")
    if item is not None:
        return stored.astype(np.float64) * float(item.RescaleSlope) + float(item.RescaleIntercept)
    if "ModalityLUTSequence" in ds:
        return apply_modality_lut(stored, ds).astype(np.float64)
    slope, intercept = first(ds.get("RescaleSlope")), first(ds.get("RescaleIntercept"))
    slope = 1.0 if not slope else slope
    return stored.astype(np.float64) * slope + (intercept or 0.0)


def window(x, center, width, function):
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((x - center) / width + 0.5, 0, 1)
    y = (x - (center - 0.5)) / max(width - 1, 1e-12) + 0.5
    y[x <= center - 0.5 - (width - 1) / 2] = 0
    y[x > center - 0.5 + (width - 1) / 2] = 1
    return y


def shades(ds, frame, values, stored):
    for place in (group(ds, frame, "FrameVOILUTSequence"), ds):
        if place is None:
            continue
        center, width = first(place.get("WindowCenter")), first(place.get("WindowWidth"))
        if center is not None and width is not None and width >= 1:
            return window(values, center, width, place.get("VOILUTFunction", "LINEAR"))
    if ds.get("VOILUTSequence"):
        item = ds.VOILUTSequence[0]
        count, low, bits = (int(n) for n in item.LUTDescriptor)
        data = item.LUTData
        table = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data)
        at = np.clip(values - low, 0, (count or 65536) - 1).astype(int)
        return table[at] / (2**bits - 1)
    if ds.get("BitsStored") == 1:
        return values
    inside = np.isfinite(values)
    if ds.get("PixelPaddingValue") not in (None, ""):
        limit = ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)
        low, high = sorted((ds.PixelPaddingValue, limit))
        inside &= (stored < low) | (stored > high)
    low, high = (values[inside].min(), values[inside].max()) if inside.any() else (0, 1)
    if low == high:
        return np.full(values.shape, 0.0 if low == 0 else 0.5)
    return np.clip((values - low) / (high - low), 0, 1)


def levels(y):
    return np.clip(np.floor(np.clip(np.nan_to_num(y), 0, 1) * 255 + 0.5), 0, 255).astype(np.uint8)


def grey(ds, frame, stored):
    y = shades(ds, frame, modality(ds, frame, stored), stored)
    inverse = ds.PhotometricInterpretation == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE"
    picture = levels(1 - y if inverse else y)
    if "RedPaletteColorLookupTableDescriptor" in ds:
        low = int(ds.RedPaletteColorLookupTableDescriptor[1])
        colors = palette(ds, np.maximum(stored, low))
        picture = np.stack([picture] * 3, axis=-1)
        picture[stored >= low] = colors[stored >= low]
    return picture


def palette(ds, stored):
    channels = []
    for color in ("Red", "Green", "Blue"):
        data = ds.get(f"{color}PaletteColorLookupTableData")
        if data is None:
            # In segments: pydicom expands them.
            colors, bits = apply_color_lut(stored, ds).astype(np.float64), int(ds.RedPaletteColorLookupTableDescriptor[2])
            return levels(colors / (2**bits - 1))
        count, low, bits = (int(n) for n in ds[f"{color}PaletteColorLookupTableDescriptor"].value)
        count = count or 65536
        order = "<u2" if ds.original_encoding[1] is not False else ">u2"
        table = np.frombuffer(data, "u1" if len(data) <= count + 1 else order)[:count].astype(np.float64)
        top = 255 if bits == 8 or table.max() < 256 else 2**bits - 1
        channels.append(table[np.clip(stored.astype(int) - low, 0, count - 1)] / top)
    return levels(np.stack(channels, axis=-1))


def overlays(ds, frame, picture):
    for number in range(0x6000, 0x6020, 2):
        if (number, 0x3000) not in ds:
            continue
        plane = ds.overlay_array(number)
        plane = plane[frame] if plane.ndim == 3 else plane
        top, left = (int(n) - 1 for n in ds[number, 0x0050].value)
        rows, columns = np.nonzero(plane)
        rows, columns = rows + top, columns + left
        inside = (rows >= 0) & (columns >= 0) & (rows < picture.shape[0]) & (columns < picture.shape[1])
        picture[rows[inside], columns[inside]] = 255


def square(ds, frame, picture):
    pair = ds.get("PixelAspectRatio")
    if not pair:
        item = group(ds, frame, "PixelMeasuresSequence")
        pair = (item or ds).get("PixelSpacing") or ds.get("ImagerPixelSpacing")
    if not pair or len(pair) != 2 or not all(float(n) > 0 for n in pair):
        return picture
    ratio = float(pair[0]) / float(pair[1])
    if abs(ratio - 1) <= 0.001:
        return picture
    height, width = picture.shape[:2]
    size = (width, round(height * ratio)) if ratio >= 1 else (round(width / ratio), height)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def render(path, frame):
    ds = pydicom.dcmread(path, force=True)
    frames = int(ds.get("NumberOfFrames") or 1)
    # YBR becomes RGB on the way.
    stored = pixel_array(ds, index=frame if frames > 1 else None)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        picture = palette(ds, stored)
    elif stored.ndim == 3:
        picture = levels(stored / (2**ds.BitsStored - 1))
    else:
        picture = grey(ds, frame, stored)
    picture = picture.copy()
    overlays(ds, frame, picture)
    return square(ds, frame, picture)


def profile_of(ds):
    """The ICC profile of an object, or of its first optical path; sRGB where there is none."""
    own = ds.get("ICCProfile") or (ds.OpticalPathSequence[0].get("ICCProfile") if "OpticalPathSequence" in ds else None)
    return own or ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def in_colors(picture, ds, png, wanted):
    """The picture in the colours of the profile in the PNG, by LittleCMS."""
    rgb = Image.fromarray(picture).convert("RGB")
    own, there = profile_of(ds), png.info["icc_profile"]
    named = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(there)))
    if wanted == "yes":
        assert there == own or "ICCProfile" not in ds and "sRGB" in named, named
        return np.asarray(rgb)
    word = {"srgb": "sRGB", "adobergb": "Adobe", "rommrgb": "ProPhoto"}[wanted]
    assert word in named, named
    pair = [ImageCms.ImageCmsProfile(io.BytesIO(profile)) for profile in (own, there)]
    return np.asarray(ImageCms.profileToProfile(rgb, *pair, renderingIntent=ImageCms.Intent.PERCEPTUAL))


def tile(picture):
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((THUMB, THUMB))
    paper = Image.new("RGB", (THUMB, THUMB), (40, 60, 90))
    paper.paste(image, ((THUMB - image.width) // 2, (THUMB - image.height) // 2))
    return paper


def main():
    with open(sys.argv[1], encoding="utf-8") as listed:
        rows = json.load(listed)
    tiles, within = [], 0
    for row in rows:
        png = Image.open(row["png"])
        theirs = np.asarray(png)
        ours = render(row["file"], row["frame"])
        if row["colors"]:
            ds = pydicom.dcmread(row["file"], force=True, stop_before_pixels=True)
            ours = in_colors(ours, ds, png, row["colors"])
        if theirs.ndim == 3 and ours.ndim == 2:
            ours = np.stack([ours] * 3, axis=-1)
        tiles.append((tile(theirs), tile(ours)))
        if theirs.shape != ours.shape:
            print(f"shapes {theirs.shape} {ours.shape} {row['name']}")
            continue
        difference = np.abs(theirs.astype(int) - ours.astype(int)).mean()
        within += difference <= LIMIT
        print(f"{difference:.3f} {row['name']} frame {row['frame'] + 1}")
    if len(sys.argv) > 2:
        across = 4
        sheet = Image.new("RGB", (across * 2 * (THUMB + 2), -(-len(tiles) // across) * (THUMB + 2)))
        for at, pair in enumerate(tiles):
            for side, picture in enumerate(pair):
                place = ((at % across * 2 + side) * (THUMB + 2), at // across * (THUMB + 2))
                sheet.paste(picture, place)
        sheet.save(sys.argv[2])
    print(f"compared {len(rows)}, within {within}")


main()
