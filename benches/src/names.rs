//! Names for handlers that are written many times over: macros cannot make them up.

/// Hands 8 names to a macro.
macro_rules! names_8 {
    ($use:ident $($with:tt)*) => {
        $use! {
            $($with)*;
            l0 l1 l2 l3 l4 l5 l6 l7
        }
    };
}

/// Hands 64 names to a macro.
macro_rules! names_64 {
    ($use:ident $($with:tt)*) => {
        $use! {
            $($with)*;
            l00 l01 l02 l03 l04 l05 l06 l07 l08 l09 l10 l11 l12 l13 l14 l15
            l16 l17 l18 l19 l20 l21 l22 l23 l24 l25 l26 l27 l28 l29 l30 l31
            l32 l33 l34 l35 l36 l37 l38 l39 l40 l41 l42 l43 l44 l45 l46 l47
            l48 l49 l50 l51 l52 l53 l54 l55 l56 l57 l58 l59 l60 l61 l62 l63
        }
    };
}

/// Hands 512 names to a macro.
macro_rules! names_512 {
    ($use:ident $($with:tt)*) => {
        $use! {
            $($with)*;
            l000 l001 l002 l003 l004 l005 l006 l007 l008 l009 l010 l011 l012 l013 l014 l015
            l016 l017 l018 l019 l020 l021 l022 l023 l024 l025 l026 l027 l028 l029 l030 l031
            l032 l033 l034 l035 l036 l037 l038 l039 l040 l041 l042 l043 l044 l045 l046 l047
            l048 l049 l050 l051 l052 l053 l054 l055 l056 l057 l058 l059 l060 l061 l062 l063
            l064 l065 l066 l067 l068 l069 l070 l071 l072 l073 l074 l075 l076 l077 l078 l079
            l080 l081 l082 l083 l084 l085 l086 l087 l088 l089 l090 l091 l092 l093 l094 l095
            l096 l097 l098 l099 l100 l101 l102 l103 l104 l105 l106 l107 l108 l109 l110 l111
            l112 l113 l114 l115 l116 l117 l118 l119 l120 l121 l122 l123 l124 l125 l126 l127
            l128 l129 l130 l131 l132 l133 l134 l135 l136 l137 l138 l139 l140 l141 l142 l143
            l144 l145 l146 l147 l148 l149 l150 l151 l152 l153 l154 l155 l156 l157 l158 l159
            l160 l161 l162 l163 l164 l165 l166 l167 l168 l169 l170 l171 l172 l173 l174 l175
            l176 l177 l178 l179 l180 l181 l182 l183 l184 l185 l186 l187 l188 l189 l190 l191
            l192 l193 l194 l195 l196 l197 l198 l199 l200 l201 l202 l203 l204 l205 l206 l207
            l208 l209 l210 l211 l212 l213 l214 l215 l216 l217 l218 l219 l220 l221 l222 l223
            l224 l225 l226 l227 l228 l229 l230 l231 l232 l233 l234 l235 l236 l237 l238 l239
            l240 l241 l242 l243 l244 l245 l246 l247 l248 l249 l250 l251 l252 l253 l254 l255
            l256 l257 l258 l259 l260 l261 l262 l263 l264 l265 l266 l267 l268 l269 l270 l271
            l272 l273 l274 l275 l276 l277 l278 l279 l280 l281 l282 l283 l284 l285 l286 l287
            l288 l289 l290 l291 l292 l293 l294 l295 l296 l297 l298 l299 l300 l301 l302 l303
            l304 l305 l306 l307 l308 l309 l310 l311 l312 l313 l314 l315 l316 l317 l318 l319
            l320 l321 l322 l323 l324 l325 l326 l327 l328 l329 l330 l331 l332 l333 l334 l335
            l336 l337 l338 l339 l340 l341 l342 l343 l344 l345 l346 l347 l348 l349 l350 l351
            l352 l353 l354 l355 l356 l357 l358 l359 l360 l361 l362 l363 l364 l365 l366 l367
            l368 l369 l370 l371 l372 l373 l374 l375 l376 l377 l378 l379 l380 l381 l382 l383
            l384 l385 l386 l387 l388 l389 l390 l391 l392 l393 l394 l395 l396 l397 l398 l399
            l400 l401 l402 l403 l404 l405 l406 l407 l408 l409 l410 l411 l412 l413 l414 l415
            l416 l417 l418 l419 l420 l421 l422 l423 l424 l425 l426 l427 l428 l429 l430 l431
            l432 l433 l434 l435 l436 l437 l438 l439 l440 l441 l442 l443 l444 l445 l446 l447
            l448 l449 l450 l451 l452 l453 l454 l455 l456 l457 l458 l459 l460 l461 l462 l463
            l464 l465 l466 l467 l468 l469 l470 l471 l472 l473 l474 l475 l476 l477 l478 l479
            l480 l481 l482 l483 l484 l485 l486 l487 l488 l489 l490 l491 l492 l493 l494 l495
            l496 l497 l498 l499 l500 l501 l502 l503 l504 l505 l506 l507 l508 l509 l510 l511
        }
    };
}

pub(crate) use {names_8, names_64, names_512};
