//! Phantoms: ellipses in a space from -1000 to 1000 each way, in whole numbers so that every machine draws the same.

use super::Picture;

/// The stored value of one pixel of the picture at x, y and z; `seed` changes the grain.
pub(super) fn value(picture: Picture, at: [i64; 3], seed: i64) -> i64 {
    let value = match picture {
        Picture::Ct => 1024 + chest_hu(at),
        Picture::MrT1 => head(at, [700, 330, 430, 130]),
        Picture::MrT2 => head(at, [520, 400, 280, 760]),
        Picture::Cr | Picture::Dx => chest_projection(at),
    };
    value + noise(at, seed)
}

fn inside([x, y, _]: [i64; 3], center: [i64; 2], radii: [i64; 2]) -> bool {
    let [dx, dy] = [x - center[0], y - center[1]];
    let [rx, ry] = radii;
    rx > 0 && ry > 0 && dx * dx * ry * ry + dy * dy * rx * rx <= rx * rx * ry * ry
}

fn chest_hu(at: [i64; 3]) -> i64 {
    let [x, _, z] = at;
    let lung = [300 - z.abs() / 8, 430 - z.abs() / 6];
    if !inside(at, [0, 0], [880, 640]) {
        return -1000;
    }
    if inside(at, [0, 420], [110, 110]) {
        return if inside(at, [0, 400], [50, 40]) {
            30
        } else {
            500
        };
    }
    // A nodule in the left lung, in the middle slices.
    if z.abs() < 300 && inside(at, [430, -120], [60, 60]) {
        return 40;
    }
    if inside(at, [90, -120], [210, 230 - z / 8]) {
        return 50;
    }
    if inside(at, [-420, 0], lung) || inside(at, [420, 0], lung) {
        return -820 + (x / 40 % 5) * 8;
    }
    if inside(at, [0, 0], [820, 580]) {
        45
    } else {
        -90
    }
}

/// Scalp, grey matter, white matter, ventricles.
fn head(at: [i64; 3], [fat, grey, white, fluid]: [i64; 4]) -> i64 {
    let [x, y, z] = at;
    let shrunk = |radius: i64| radius - z.abs() * radius / 4000;
    let ellipse = |rx, ry| inside(at, [0, 0], [shrunk(rx), shrunk(ry)]);
    if !ellipse(720, 880) {
        return 5;
    }
    if !ellipse(670, 830) {
        return fat;
    }
    if !ellipse(620, 780) {
        return 30;
    }
    let ventricle = [90 - z.abs() / 20, 260 - z.abs() / 8];
    if inside(at, [-110, -60], ventricle) || inside(at, [110, -60], ventricle) {
        return fluid;
    }
    let folds = (x * 9 / 100).rem_euclid(7) + (y * 11 / 100).rem_euclid(7);
    if ellipse(470 + folds * 12, 620 + folds * 12) && x.abs() > 12 {
        white
    } else {
        grey
    }
}

fn chest_projection(at: [i64; 3]) -> i64 {
    let [x, y, _] = at;
    let lung = |side: i64| inside(at, [side * 400, -60], [290, 620]);
    let mut value = 2700 + y / 4;
    if !inside(at, [0, 300], [930, 1300]) {
        return 150;
    }
    if lung(-1) || lung(1) {
        value -= 1500;
        // Ribs bend downwards to the sides.
        if (y - x.abs() / 3).rem_euclid(170) < 45 {
            value += 350;
        }
    }
    if inside(at, [140, 240], [330, 300]) {
        value = value.max(2600);
    }
    if x.abs() < 90 {
        value += 500 + i64::from(y.rem_euclid(140) < 20) * -200;
    }
    if inside(at, [0, -700], [60, 240]) {
        value -= 400;
    }
    value
}

/// Grain from -12 to 12.
fn noise([x, y, z]: [i64; 3], seed: i64) -> i64 {
    let mixed = [x, y, z, seed]
        .into_iter()
        .fold(0x9E37_79B9_i64, |mixed, part| {
            (mixed ^ (part + 4096)).wrapping_mul(0x5851_F42D_4C95_7F2D) >> 7
        });
    mixed.rem_euclid(25) - 12
}
